//! The roles: each is an actor that does one part of the service.
//!
//! [`Roles::assemble`] wires them to each other and gives the subtrees to be put into an actor system. What they share,
//! and what must outlive a crash of any of them, is the node: the attempts it holds, what has happened to them and is
//! not written yet, its session.

mod assembly;
mod audit;
mod backoff;
pub mod bounds;
mod bulk;
mod commands;
mod completer;
pub mod condition;
mod crashes;
mod cron;
mod dead_jobs;
mod drain;
mod edge_keeper;
mod edges;
mod encryption;
mod fleet;
mod gateway;
mod inbound;
mod inspector;
mod leader;
mod leadership;
mod metrics;
mod metrics_engine;
mod node;
mod outcomes;
mod outlet;
mod parking;
mod pruner;
mod queue;
mod read_model;
mod relay;
mod reporter;
pub mod request;
mod rescuer;
mod role_set;
mod scheduler;
mod secret_keeping;
mod series;
mod session;
mod settings;
mod signals;
mod spans;
mod standing;
mod tree;
mod tuning;
mod unfit;
mod waiting;
mod wakes;
mod workflows;

pub use assembly::{Handles, Roles, RolesError};
pub use condition::{Condition, Conditions};
pub use dead_jobs::cursor as dead_causes_cursor;
pub use drain::{Drain, DrainReport};
pub use gateway::Gateway;
pub use inbound::InboundConfig;
pub use inspector::{GetTree, INSPECTOR, Inspector};
pub use metrics::{MetricFamily, Metrics, TerminalEvent};
pub use outlet::{OutletConfig, Publisher};
pub use queue::QueueSupervision;
pub use read_model::ReadModel;
pub use role_set::{InvalidRoles, Role, RoleSet};
pub use series::{InvalidResolution, NoSeries, Recent, Resolution, SeriesQuery, TimeSeries};
pub use settings::{InvalidSetting, RolesConfig, UnknownTypes};
pub use standing::{ActorOrder, Host};
pub use tree::{Backtraces, tree_node, tree_troubles};
pub use unfit::UnfitJobs;
