//! Claims: which way a queue's jobs are given.

use uuid::Uuid;

use super::{
    attempts::{self, Of},
    transaction::Transaction,
    turns,
};
use crate::edges::store::Outcome;

/// Leases available jobs for a session, first come first served; in turns and in part where the queue says so. The
/// session is kept from ending meanwhile, so that no claim is left to a session that nobody rescues any more. With `most` no more
/// of the queue's jobs are with anybody then.
pub(super) async fn claim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
    most: Option<u32>,
) -> sqlx::Result<Outcome> {
    tx.flush().await?;
    if let Some(most) = most {
        // Such claims take turns, so that each counts what the one before has claimed.
        turns::lock(tx, queue).await?;
        let held = turns::held(tx, queue, session).await?.unwrap_or_default().with_most(most);
        return turns::claim(tx, queue, limit, session, &held).await;
    }
    // Most queues have neither limits nor keys, and a question whether this one has would cost each claim a way to the server.
    let jobs = attempts::first_come(tx, queue, limit, session, Of::QueuesWithoutRules).await?;
    if !jobs.is_empty() {
        return Ok(Outcome::Claimed(jobs));
    }
    match turns::held(tx, queue, session).await? {
        Some(held) => turns::claim(tx, queue, limit, session, &held).await,
        None if attempts::is_open(tx.connection, session).await? => Ok(Outcome::Claimed(Vec::new())),
        None => Ok(Outcome::NotFound),
    }
}
