//! What a job is, and the job types that come with Callboard.
//!
//! A [`Job`] is a typed value that knows how to run. The types a node knows are gathered in a [`JobRegistry`], which
//! checks payloads at the gate and runs claimed jobs by their type's name.

pub mod command;
pub mod context;
pub mod error;
#[cfg(feature = "testkit")]
pub mod faults;
#[cfg(feature = "http")]
pub mod http;
pub mod job;
pub(crate) mod journal;
pub mod noop;
pub mod options;
pub mod registry;
pub mod retry;
pub mod signals;
pub mod sleep;
pub mod states;
pub mod steps;
pub(crate) mod unique;

pub use context::JobContext;
pub use error::{CheckError, JobError};
pub use job::Job;
pub use journal::{Fraction, LogLimits};
pub use noop::Noop;
pub use options::{JobDefaults, JobOptions, MAX_ATTEMPTS};
pub use registry::{JobRegistry, JobRegistryBuilder, RegistryError};
pub use retry::{CustomDelay, RetryPolicy};
pub use signals::{Signal, SignalError, StateError};
pub use sleep::Sleep;
pub use states::{MissingState, States};
pub use steps::{StepError, step};
