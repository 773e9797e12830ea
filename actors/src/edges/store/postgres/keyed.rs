//! Requests that are carried out once for their key.

use sqlx::Row;

use super::{enqueue, transaction::Transaction};
use crate::edges::store::{
    OperationResult,
    record::{KeyedJobs, NewJob},
    transition::keyed::{again, answer},
};

/// Stores the jobs of a request, unless it was made before. If the same is made elsewhere at this time, one of the two
/// transactions meets the other's key, is tried again, and finds what was answered.
pub(super) async fn run(tx: &mut Transaction<'_>, request: &KeyedJobs) -> sqlx::Result<OperationResult> {
    let key = &request.key;
    let found = sqlx::query("SELECT fingerprint, answer FROM idempotency_keys WHERE scope = $1 AND key = $2")
        .bind(&key.scope)
        .bind(&key.key)
        .fetch_optional(&mut *tx.connection)
        .await?;
    if let Some(row) = found {
        let (fingerprint, kept): (Vec<u8>, String) = (row.try_get("fingerprint")?, row.try_get("answer")?);
        return Ok(again(key, &fingerprint, &kept));
    }
    let jobs: Vec<&NewJob> = request.jobs.iter().collect();
    let outcomes = enqueue::store(tx, &jobs).await?;
    let (outcome, kept) = match answer(request, outcomes) {
        Ok(answered) => answered,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(text) = kept {
        sqlx::query(
            "INSERT INTO idempotency_keys (scope, key, fingerprint, answer, created_at) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&key.scope)
        .bind(&key.key)
        .bind(key.fingerprint.as_slice())
        .bind(text)
        .bind(tx.changes.now.as_micros())
        .execute(&mut *tx.connection)
        .await?;
    }
    Ok(Ok(outcome))
}
