//! The web endpoints of Callboard: the old contract at the root, the own interface under `/api/v1`.
//!
//! [`web`] gives the subtree to be put into an actor system. The endpoints know the roles only by the messages they take.
//! [`Unanswered`] is for actix-web handlers of other programs, which ask actors of their own.

mod address;
mod api;
mod body;
mod bulk;
mod connections;
mod contract;
mod correlation;
mod credentials;
mod cron;
mod dead_jobs;
#[cfg(test)]
mod documentation;
mod edges;
mod encryption;
mod feed;
mod guard;
mod idempotency;
mod interfaces;
mod job_log;
mod json;
mod live;
mod live_routes;
mod nodes;
mod observatory;
mod openapi;
mod origins;
mod pages;
mod problem;
mod proxy;
mod rate_limit;
mod route;
mod routes;
mod seats;
mod security_headers;
mod server;
mod session;
mod settings;
mod settings_of_node;
mod signals;
mod spans;
mod sse;
mod stream;
mod terminal;
mod unanswered;
mod unread;
mod workflow_routes;
mod workflows;

pub use observatory::OldPort;
pub use proxy::ProxySettings;
pub use server::{HttpServer, WebHandle, web};
pub use settings::{NodeTree, NoteAudit, Role, Token, WebDependencies, WebError, WebSettings};
pub use terminal::{TerminalCommand, TerminalSettings};
pub use unanswered::Unanswered;
