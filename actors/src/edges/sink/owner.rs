//! [`owner`]: who writes to servers outside, so that nobody takes another's work for his own.

use uuid::Uuid;

use super::SinkError;
use crate::edges::store::{Operation, StoreHandle};

const KEY: &str = "sink.owner";

/// The name under which this store's sinks leave their marks outside, made by the first that asks. Two stores have the same
/// epochs and positions, and not the same name.
///
/// # Errors
/// [`SinkError::Store`].
pub async fn owner(store: &StoreHandle) -> Result<String, SinkError> {
    if let Some(name) = known_owner(store).await? {
        return Ok(name);
    }
    let value = format!("\"{}\"", Uuid::now_v7().simple());
    store.write(Operation::PutSetting { key: KEY.to_owned(), value }).await?;
    // Of two that made one at once, the last has it.
    let name = known_owner(store).await?;
    name.ok_or_else(|| SinkError::Failed("the store does not keep who owns it".to_owned()))
}

/// The same, if somebody has made it.
///
/// # Errors
/// [`SinkError::Store`].
pub async fn known_owner(store: &StoreHandle) -> Result<Option<String>, SinkError> {
    let kept = store.setting(KEY.to_owned()).await?;
    Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
}
