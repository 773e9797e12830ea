//! The sequencer: gives committed batches of events their places in the log, gapless and in order.

use std::{sync::Arc, time::Duration};

use callboard_contracts::api::LogCursor;
use sqlx::{Connection, PgConnection, Row};
use tokio::time::{sleep, timeout};

use super::{
    Shared,
    columns::long,
    connect::{Purpose, connect},
    enqueue_in::gather_counts,
    error::translate,
};
use crate::{edges::store::StoreError, failpoint};

/// Batches that are placed in one transaction.
const BATCHES: i64 = 1000;
/// The log is looked at so often even if nobody says that it has grown: another node may have died before it placed what
/// it had committed, and a word may have been lost.
const POLL: Duration = Duration::from_millis(250);
/// Pause while another node places batches.
const BUSY: Duration = Duration::from_millis(1);
/// The first pause after an error; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What one look at the log came to.
enum Placed {
    /// Nothing is left, as far as could be seen.
    All,
    /// There may be more.
    Some,
    /// Another node is at it.
    Busy,
}

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        match work(&shared, &mut pause).await {
            Ok(never) => match never {},
            Err(error) => tracing::debug!(%error, "the log cannot be placed for now"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn work(shared: &Shared, pause: &mut Duration) -> Result<std::convert::Infallible, StoreError> {
    let mut connection = connect(&shared.options, Purpose::Write).await?;
    loop {
        let placed = timeout(shared.options.write_timeout, place(&mut connection, shared)).await;
        let placed = placed.map_err(|_| StoreError::TimedOut(shared.options.write_timeout))?;
        match placed.map_err(translate)? {
            Placed::All => {
                *pause = FIRST_PAUSE;
                // Over is over, be it said or not.
                let _ = timeout(POLL, shared.unplaced.notified()).await;
            }
            Placed::Some => {}
            Placed::Busy => sleep(BUSY).await,
        }
    }
}

/// Whoever holds the log's row gives places. The batches are looked for by a second statement, which sees all that was
/// placed before the row was locked; one statement for both would see the batches as they were before it waited.
async fn place(connection: &mut PgConnection, shared: &Shared) -> sqlx::Result<Placed> {
    let look =
        "SELECT epoch, position, EXISTS (SELECT FROM event_batches WHERE first_position IS NULL) AS unplaced,
                EXISTS (SELECT FROM totals WHERE shard < 0) AS counts
         FROM log";
    let row = sqlx::query(look).fetch_one(&mut *connection).await?;
    if row.try_get("counts")? {
        gather_counts(connection).await?;
    }
    if !row.try_get::<bool, _>("unplaced")? {
        shared.advance(LogCursor { epoch: long(&row, "epoch")?, position: long(&row, "position")? });
        return Ok(Placed::All);
    }
    let mut transaction = connection.begin().await?;
    let head = sqlx::query("SELECT epoch, position FROM log FOR UPDATE SKIP LOCKED");
    let Some(head) = head.fetch_optional(&mut *transaction).await? else {
        transaction.rollback().await?;
        return Ok(Placed::Busy);
    };
    let (epoch, before) = (long(&head, "epoch")?, head.try_get::<i64, _>("position")?);
    let row = sqlx::query(
        "WITH next AS (
            SELECT batch, size, sum(size) OVER (ORDER BY batch) AS upto
            FROM (SELECT batch, size FROM event_batches WHERE first_position IS NULL ORDER BY batch LIMIT $2) AS first
         ), placed AS (
            UPDATE event_batches SET first_position = $1 + next.upto - next.size + 1 FROM next
            WHERE event_batches.batch = next.batch RETURNING event_batches.size
         )
         UPDATE log SET position = $1 + (SELECT coalesce(sum(size), 0) FROM placed)
         RETURNING position, (SELECT count(*) FROM placed) AS batches",
    )
    .bind(before)
    .bind(BATCHES)
    .fetch_one(&mut *transaction)
    .await?;
    failpoint!("sequence.commit.before");
    transaction.commit().await?;
    failpoint!("sequence.commit.after");
    let newest = LogCursor { epoch, position: long(&row, "position")? };
    shared.advance(newest);
    shared.outbox.log(newest);
    Ok(if row.try_get::<i64, _>("batches")? < BATCHES { Placed::All } else { Placed::Some })
}
