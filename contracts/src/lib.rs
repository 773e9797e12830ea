//! The types of Callboard that cross a wire.
//!
//! [`event`], [`job`] and [`outside`] are the contract that programs in other languages rely on: versioned, generated into
//! `contracts/schemas/`, changed only by the rules of semantic versioning. [`api`] is what the server's own interface
//! under `/api/v1` takes and answers, and what the typed client gives back.

pub mod api;
pub mod event;
pub mod job;
pub mod labels;
pub mod name;
pub mod outside;
pub mod partition_key;
pub mod rate;
pub mod schema;
pub mod state;
pub mod tag;
pub mod timestamp;
pub mod trace;
pub mod workflow;

pub use event::{EventEnvelope, EventType, Producer};
pub use job::{ContractJob, JobAccepted, JobStatus};
pub use labels::{InvalidLabels, Labels};
pub use outside::{DeadLetter, WorkerAttempt};
pub use rate::{InvalidRate, Rate};
pub use state::JobState;
pub use timestamp::Timestamp;
pub use trace::{InvalidTraceContext, TraceContext};
