//! Claims: which way a queue's jobs are given.

use uuid::Uuid;

use super::{attempts, fleet, session, transaction::Transaction, turns};
use crate::edges::store::Outcome;

/// Leases available jobs for a session, first come first served; in turns and in part where the queue says so. With `most`
/// no more of its jobs are with anybody then.
pub(super) fn claim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
    most: Option<u32>,
) -> rusqlite::Result<Outcome> {
    if !session::is_open(tx, session)? {
        return Ok(Outcome::NotFound);
    }
    if !fleet::may_claim(tx, queue, session)? {
        return Ok(Outcome::Claimed(Vec::new()));
    }
    tx.flush()?;
    let held = turns::held(tx, queue)?;
    let held = match most {
        Some(most) => Some(held.unwrap_or_default().with_most(most)),
        None => held,
    };
    match held {
        Some(held) => turns::claim(tx, queue, limit, session, &held),
        None => attempts::first_come(tx, queue, limit, session).map(Outcome::Claimed),
    }
}
