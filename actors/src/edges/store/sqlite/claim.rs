//! Claims: which way a queue's jobs are given.

use uuid::Uuid;

use super::{attempts, session, transaction::Transaction, turns};
use crate::edges::store::Outcome;

/// Leases available jobs for a session, first come first served; in turns and in part where the queue says so.
pub(super) fn claim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
) -> rusqlite::Result<Outcome> {
    if !session::is_open(tx, session)? {
        return Ok(Outcome::NotFound);
    }
    tx.flush()?;
    match turns::held(tx, queue)? {
        Some(held) => turns::claim(tx, queue, limit, session, &held),
        None => attempts::first_come(tx, queue, limit, session).map(Outcome::Claimed),
    }
}
