//! Comparing payloads whose secrets are not to be told.

use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    edges::store::{StoreError, record::JobRecord},
    encryption::envelope::Part,
    roles::node::Node,
};

/// The payloads of two jobs of one type, with marks in place of secrets: the same for the same value, and others each time.
pub(super) fn comparable(
    node: &Node,
    one: &JobRecord,
    other: &JobRecord,
) -> Result<(Value, Value), StoreError> {
    let vault = node.vault();
    let salt = SecretString::from(format!("{}{}", Uuid::new_v4(), Uuid::new_v4()));
    let read = |job: &JobRecord| -> Result<Value, StoreError> {
        let mut payload: Value = serde_json::from_str(&job.payload).map_err(|error| {
            StoreError::Corrupt(format!("the payload of the job {} is no JSON: {error}", job.id))
        })?;
        // A secret that cannot be opened is compared as it is: never equal.
        vault.mark(&job.job_type, Part::Payload, &mut payload, |value| marked(&salt, value));
        Ok(payload)
    };
    Ok((read(one)?, read(other)?))
}

/// What stands for a secret. Nobody finds the secret by it: the salt is forgotten when the answer is given.
fn marked(salt: &SecretString, value: &Value) -> Value {
    use secrecy::ExposeSecret;
    let digest = Sha256::new_with_prefix(salt.expose_secret()).chain_update(value.to_string()).finalize();
    let digits: String = digest[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    json!(format!("[redacted {digits}]"))
}
