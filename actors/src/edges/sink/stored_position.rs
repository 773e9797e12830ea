//! [`StoredPosition`]: for sinks that cannot keep themselves how far they are.

use callboard_contracts::api::LogCursor;

use super::SinkError;
use crate::edges::store::{Operation, StoreHandle};

/// How far a sink is in the log, kept as a setting of the store.
///
/// It is written after the events have arrived, so after a crash between the two they are told again.
#[derive(Clone)]
pub struct StoredPosition {
    store: StoreHandle,
    key: String,
}

impl StoredPosition {
    /// That of the sink of this name.
    pub fn new(store: StoreHandle, sink: &str) -> Self {
        StoredPosition { store, key: format!("sink.{sink}.position") }
    }

    /// What was kept last; `None` if nothing was, or nothing that can be read.
    ///
    /// # Errors
    /// [`SinkError::Store`].
    pub async fn load(&self) -> Result<Option<LogCursor>, SinkError> {
        let kept = self.store.setting(self.key.clone()).await?;
        Ok(kept.and_then(|text| serde_json::from_str::<String>(&text).ok()?.parse().ok()))
    }

    /// Keeps it.
    ///
    /// # Errors
    /// [`SinkError::Store`].
    pub async fn save(&self, position: LogCursor) -> Result<(), SinkError> {
        let value = format!("\"{position}\"");
        self.store.write(Operation::PutSetting { key: self.key.clone(), value }).await?;
        Ok(())
    }
}
