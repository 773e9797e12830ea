//! Which keys encrypt what is stored.

use callboard_contracts::api::{EncryptionRotated, EncryptionStatus, JobDetail, RotateEncryption};
use uuid::Uuid;

use crate::{client::Client, error::ClientError, request::Call};

impl Client {
    /// A page of what is encrypted with which key; `cursor` is the `next_cursor` of the page before.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn encryption(&self, cursor: Option<&str>) -> Result<EncryptionStatus, ClientError> {
        let parameters = cursor.map(|cursor| ("cursor", cursor.to_owned())).into_iter().collect();
        self.call(Call::get("/api/v1/encryption").query(parameters)).await
    }

    /// Encrypts the next part of what is stored with the server's current key; `cursor` is the `next_cursor` of the step before.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 403 without the role admin, and if the server has no current key.
    pub async fn rotate_encryption(&self, cursor: Option<&str>) -> Result<EncryptionRotated, ClientError> {
        let asked = RotateEncryption { cursor: cursor.map(str::to_owned) };
        self.call(Call::post("/api/v1/encryption/rotate", &asked)?.repeatable()).await
    }

    /// A job with its secrets. Who has seen them is kept in the audit trail.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 403 without the role admin, or if the server cannot decrypt them.
    pub async fn reveal_job(&self, id: Uuid) -> Result<JobDetail, ClientError> {
        let reveal = vec![("reveal", "true".to_owned())];
        self.call(Call::get(format!("/api/v1/jobs/{id}")).query(reveal)).await
    }
}
