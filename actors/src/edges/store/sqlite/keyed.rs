//! Requests that are carried out once for their key.

use rusqlite::{OptionalExtension, params};

use super::{enqueue, transaction::Transaction};
use crate::edges::store::{
    OperationResult,
    record::{KeyedJobs, NewJob},
    transition::keyed::{again, answer},
};

/// Stores the jobs of a request, unless it was made before.
pub(super) fn run(tx: &mut Transaction<'_>, request: &KeyedJobs) -> rusqlite::Result<OperationResult> {
    let key = &request.key;
    let mut find = tx
        .connection
        .prepare_cached("SELECT fingerprint, answer FROM idempotency_keys WHERE scope = ?1 AND key = ?2")?;
    let found = find.query_row((&key.scope, &key.key), |row| {
        Ok(again(key, &row.get::<_, Vec<u8>>(0)?, row.get_ref(1)?.as_str()?))
    });
    if let Some(answered) = found.optional()? {
        return Ok(answered);
    }
    let jobs: Vec<&NewJob> = request.jobs.iter().collect();
    let outcomes = match enqueue::store(tx, &jobs)? {
        Ok(outcomes) => outcomes,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let (outcome, kept) = match answer(request, outcomes) {
        Ok(answered) => answered,
        Err(error) => return Ok(Err(error)),
    };
    if let Some(text) = kept {
        let mut keep = tx.connection.prepare_cached(
            "INSERT INTO idempotency_keys (scope, key, fingerprint, answer, created_at) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        keep.execute(params![key.scope, key.key, key.fingerprint, text, tx.changes.now.as_micros()])?;
    }
    Ok(Ok(outcome))
}
