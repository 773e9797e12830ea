//! The roles: each is an actor that does one part of the service.
//!
//! [`Roles::assemble`] wires them to each other and gives the subtrees to be put into an actor system. What they share,
//! and what must outlive a crash of any of them, is the node: the attempts it holds, what has happened to them and is
//! not written yet, its session.

mod assembly;
mod backoff;
pub mod bounds;
mod completer;
pub mod condition;
mod drain;
mod edges;
mod gateway;
mod leader;
mod leadership;
mod metrics;
mod metrics_engine;
mod node;
mod outcomes;
mod parking;
mod pruner;
mod queue;
mod read_model;
mod reporter;
pub mod request;
mod rescuer;
mod scheduler;
mod session;
mod settings;
mod spans;
mod waiting;
mod wakes;

pub use assembly::{Handles, Roles, RolesError};
pub use condition::{Condition, Conditions};
pub use drain::{Drain, DrainReport};
pub use gateway::Gateway;
pub use metrics::{MetricFamily, Metrics};
pub use read_model::ReadModel;
pub use settings::{InvalidSetting, RolesConfig, UnknownTypes};
