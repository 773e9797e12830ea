//! What is sent to running jobs, and what they show of themselves.
//!
//! Signals are stored with their job. Each attempt that asks for them gets all that are unacknowledged, in their order; they are
//! gathered in the attempt's inbox, which the role `signals` fills from the store.

mod desk;
mod error;
mod inbox;
mod signal;

use std::{fmt, sync::Arc};

use callboard_contracts::api::MAX_STATE_BYTES;
use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

pub(crate) use self::{desk::SignalDesk, inbox::SignalInbox};
pub use self::{
    error::{SignalError, StateError},
    signal::Signal,
};
use super::journal::Journal;

/// The way of one attempt to the store, for what is to be durable before it goes on.
pub(crate) trait SignalAccess: fmt::Debug + Send + Sync {
    /// The signal of this number is dealt with for good.
    fn acknowledge(&self, number: u32) -> BoxFuture<'static, Result<(), SignalError>>;
}

/// The signals of one attempt.
#[derive(Debug)]
pub(crate) struct Signals {
    pub(crate) inbox: Arc<SignalInbox>,
    pub(crate) access: Arc<dyn SignalAccess>,
}

impl Signals {
    /// The first that waits, of this name if one is given; waits for one.
    pub(crate) async fn next(
        &self,
        name: Option<&str>,
        cancelled: &CancellationToken,
        journal: &Arc<Journal>,
    ) -> Result<Signal, SignalError> {
        loop {
            let changed = self.inbox.changed();
            tokio::pin!(changed);
            // What comes from now on is heard of.
            changed.as_mut().enable();
            if let Some(signal) = self.take(name, cancelled, journal)? {
                return Ok(signal);
            }
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = changed => {}
            }
        }
    }

    /// The first that waits, of this name if one is given, once the store has been looked into.
    pub(crate) async fn try_next(
        &self,
        name: Option<&str>,
        cancelled: &CancellationToken,
        journal: &Arc<Journal>,
    ) -> Result<Option<Signal>, SignalError> {
        loop {
            let changed = self.inbox.changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let found = self.take(name, cancelled, journal)?;
            if found.is_some() || self.inbox.is_filled() {
                return Ok(found);
            }
            tokio::select! {
                () = cancelled.cancelled() => {}
                () = changed => {}
            }
        }
    }

    fn take(
        &self,
        name: Option<&str>,
        cancelled: &CancellationToken,
        journal: &Arc<Journal>,
    ) -> Result<Option<Signal>, SignalError> {
        // Whoever is to end is not given new work; what waits goes to the next attempt.
        if cancelled.is_cancelled() {
            return Err(SignalError::Cancelled);
        }
        let found = self.inbox.take(name)?;
        if let Some(signal) = &found {
            journal.taken(signal.number());
        }
        Ok(found)
    }
}

/// A state as it is stored.
pub(crate) fn state_text<T: Serialize + ?Sized>(state: &T) -> Result<String, StateError> {
    let text = serde_json::to_string(state).map_err(|error| StateError::NoJson(error.to_string()))?;
    if text.len() > MAX_STATE_BYTES {
        return Err(StateError::TooLarge { bytes: text.len(), limit: MAX_STATE_BYTES });
    }
    readable(&text).map_err(|error| StateError::NoJson(error.to_string()))?;
    Ok(text)
}

/// JSON text that was written can be read again: what is nested too deep cannot.
pub(crate) fn readable(text: &str) -> Result<(), serde_json::Error> {
    // Few levels need no second look.
    let levels = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if levels < 100 { Ok(()) } else { serde_json::from_str::<Value>(text).map(drop) }
}

#[cfg(test)]
mod tests;
