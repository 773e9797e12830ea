//! [`CrashRecord`].

use std::{backtrace::Backtrace, fmt, time::SystemTime};

use crate::meta::{ActorId, StopReason};

/// What is known of one crash: a panic, a start that failed, or a supervisor that gave up.
///
/// Its `Display` writes everything and resolves the backtrace, which takes milliseconds: not on an executor's thread.
#[derive(Debug)]
#[non_exhaustive]
pub struct CrashRecord {
    /// When.
    pub at: SystemTime,
    /// Whose.
    pub actor: ActorId,
    /// Its path within the system.
    pub path: String,
    /// Its Rust type.
    pub actor_type: &'static str,
    /// Which generation of it.
    pub generation: u64,
    /// Why.
    pub reason: StopReason,
    /// Where in the source the panic happened: file, line and column.
    pub location: Option<String>,
    /// Captured without its symbols. None for what is no panic, and when there are more than 2,000 panics a second.
    pub backtrace: Option<Backtrace>,
}

impl fmt::Display for CrashRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}, generation {}): {}", self.path, self.actor_type, self.generation, self.reason)?;
        if let Some(location) = &self.location {
            write!(f, "\nat {location}")?;
        }
        if let Some(backtrace) = &self.backtrace {
            write!(f, "\n{backtrace}")?;
        }
        Ok(())
    }
}
