//! The terminal console of Callboard.
//!
//! It talks to a server over the public HTTP API alone, by [`callboard_client`]. [`model`] is all that it knows, [`update`] what
//! happens with that when something happens, and [`draw`] how it looks: none of them reaches out. What they want done they say as
//! [`exchange::Effect`]s, which are done on another thread; answers come back as [`exchange::Event`]s over a bounded channel. Keys are
//! dispatched by one table, [`keys::BINDINGS`], of which the footer and the help are made, too.
//!
//! [`run`] takes a terminal over and gives it back, whatever happens.

pub mod config;
pub mod doctor;
#[cfg(test)]
mod documentation;
pub mod draw;
pub mod exchange;
pub mod filter;
mod format;
pub mod input;
pub mod keys;
pub mod measure;
pub mod model;
pub mod rows;
mod run;
#[cfg(test)]
mod sample;
mod source;
pub mod table;
mod terminal;
pub mod theme;
pub mod update;
pub mod view;

pub use run::{ConsoleError, Options, run};
pub use source::{MakeClient, ServerProgram, Target, has_display};
