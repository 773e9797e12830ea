//! Comparing payloads whose secrets are not to be told.

use std::convert::Infallible;

use secrecy::SecretString;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    edges::store::{StoreError, record::JobRecord},
    encryption::envelope::Part,
    roles::{gateway::secrets::payload_fields, node::Node},
};

/// The payloads of two jobs of one type, with marks in place of secrets: the same for the same value, and others each time.
pub(super) fn comparable(
    node: &Node,
    one: &JobRecord,
    other: &JobRecord,
) -> Result<(Value, Value), StoreError> {
    let vault = node.vault();
    let secret = payload_fields(&vault, &one.job_type);
    let salt = SecretString::from(format!("{}{}", Uuid::new_v4(), Uuid::new_v4()));
    let read = |job: &JobRecord| -> Result<Value, StoreError> {
        let mut payload: Value = serde_json::from_str(&job.payload).map_err(|error| {
            StoreError::Corrupt(format!("the payload of the job {} is no JSON: {error}", job.id))
        })?;
        // A secret that cannot be opened is compared as it is: never equal.
        let _ = vault.open(&job.job_type, Part::Payload, &mut payload);
        let Ok(()) = secret.visit::<Infallible>(&mut payload, &mut |_, value| {
            *value = marked(&salt, value);
            Ok(())
        });
        // Of a type that is not known here, or whose field is secret no more.
        vault.secrets.redact("", Part::Payload, &mut payload);
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
