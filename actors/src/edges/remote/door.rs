//! What an actor of this node is to others.

use std::time::Duration;

use callboard_supervisors::{AskError, Recipient};
use futures_util::future::BoxFuture;
use jsonschema::Validator;
use serde_json::Value;

use super::{RemoteError, RemoteMessage, fingerprint::fingerprint, wire::Answer};

type Ask = Box<dyn Fn(Value, Duration) -> BoxFuture<'static, Answer> + Send + Sync>;

/// An actor that takes messages of one type from other nodes.
pub(super) struct Door {
    fingerprint: String,
    schema: Validator,
    ask: Ask,
}

impl Door {
    pub(super) fn new<M: RemoteMessage>(to: Recipient<M>) -> Result<Self, RemoteError> {
        let schema = schemars::schema_for!(M).to_value();
        let schema = jsonschema::validator_for(&schema).map_err(|error| {
            RemoteError::Malformed(format!("the schema of messages of type {:?}: {error}", M::TYPE))
        })?;
        let ask = move |payload: Value, limit: Duration| -> BoxFuture<'static, Answer> {
            let to = to.clone();
            Box::pin(async move {
                let message: M = match serde_json::from_value(payload) {
                    Ok(message) => message,
                    Err(error) => return Answer::Refused(format!("it is no {:?}: {error}", M::TYPE)),
                };
                match to.ask_at_once(limit, message).await.map(serde_json::to_value) {
                    Ok(Ok(value)) => Answer::Value(value),
                    Ok(Err(error)) => Answer::Failed(format!("its answer cannot be sent: {error}")),
                    // These were not handled, and the asker may ask again.
                    Err(error @ (AskError::Full | AskError::Refused | AskError::Evicted)) => {
                        Answer::Refused(error.to_string())
                    }
                    Err(error) => Answer::Failed(error.to_string()),
                }
            })
        };
        Ok(Door { fingerprint: fingerprint::<M>(), schema, ask: Box::new(ask) })
    }

    /// Asks the actor, if the asker knows the message as this node does and the payload fits its schema.
    pub(super) async fn ask(&self, fingerprint: &str, payload: Value, limit: Duration) -> Answer {
        if self.fingerprint != fingerprint {
            return Answer::OtherSchema;
        }
        if let Err(error) = self.schema.validate(&payload) {
            let place = error.instance_path().to_string();
            return Answer::Refused(format!("it does not fit the schema at {place:?}: {error}"));
        }
        (self.ask)(payload, limit).await
    }
}
