//! A signal, as a run gets it.

use callboard_contracts::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

use super::SignalError;
use crate::{edges::store::signals::SignalRecord, jobs::registry::pointer};

/// A signal that was sent to the job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal(SignalRecord);

impl Signal {
    pub(crate) fn new(record: SignalRecord) -> Self {
        Signal(record)
    }

    /// Its id, as its sender gave it.
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// Which signal of the job it is, from 1. The same in every attempt.
    pub fn number(&self) -> u32 {
        self.0.number
    }

    /// What it is.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Who sent it: the name of a token, or of a node.
    pub fn by(&self) -> &str {
        &self.0.by
    }

    /// When it was stored.
    pub fn at(&self) -> Timestamp {
        self.0.at
    }

    /// The last earlier attempt that took it, as far as that was written: a run that died in the second after it took a signal
    /// may have done so unseen. The number of an attempt that was handed back, or snoozed, is given again, so it can be this
    /// attempt's own.
    pub fn taken_before(&self) -> Option<u32> {
        self.0.taken.map(|(attempt, _)| attempt)
    }

    /// What it says, as JSON.
    pub fn value(&self) -> Value {
        // The store takes in nothing else.
        serde_json::from_str(&self.0.value).unwrap_or_default()
    }

    /// What it says.
    ///
    /// # Errors
    /// [`SignalError::Unfit`], with what is wrong and where, if it says something else.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, SignalError> {
        let mut deserializer = serde_json::Deserializer::from_str(&self.0.value);
        serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let place = pointer(error.path());
            let problem = match &*place {
                "" => error.inner().to_string(),
                place => format!("{place}: {}", error.inner()),
            };
            let SignalRecord { number, name, by, .. } = self.0.clone();
            SignalError::Unfit { number, name, by, problem }
        })
    }
}
