//! Sessions of nodes, and the leadership that one of them has. All of it is judged by the database's clock.

use std::time::Duration;

use callboard_contracts::Timestamp;
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{
    clock::sql_now,
    columns::{as_micros, long},
    transaction::Transaction,
};
use crate::edges::store::{
    Leadership, Outcome, Renewal,
    record::{Lease, NewSession},
};

/// Leases to cancel that one renewal tells at most; the next one tells the others.
const CANCELS: i64 = 1000;

pub(super) async fn open(tx: &mut Transaction<'_>, session: &NewSession) -> sqlx::Result<Outcome> {
    let NewSession { id, node, version, process } = session;
    sqlx::query(concat!(
        "INSERT INTO sessions (id, node, version, process, opened_at, seen_at)
         SELECT $1, $2, $3, $4, clock.now, clock.now FROM (SELECT ",
        sql_now!("5"),
        " AS now) AS clock
         ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at"
    ))
    .bind(id)
    .bind(node)
    .bind(version)
    .bind(i64::from(*process))
    .bind(tx.shared.clock.said())
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Done)
}

/// Locks the session against claims and renewals, if it has been idle for so long; whether it has.
pub(super) async fn hold_idle(
    tx: &mut Transaction<'_>,
    session: Uuid,
    idle_for: Option<Duration>,
) -> sqlx::Result<bool> {
    let idle: Option<bool> = sqlx::query_scalar(concat!(
        "SELECT $2::bigint IS NULL OR seen_at <= ",
        sql_now!("3"),
        " - $2 FROM sessions WHERE id = $1 FOR UPDATE"
    ))
    .bind(session)
    .bind(idle_for.map(as_micros))
    .bind(tx.shared.clock.said())
    .fetch_optional(&mut *tx.connection)
    .await?;
    Ok(idle.unwrap_or(false))
}

/// Closes the session and gives up its leadership at once.
pub(super) async fn close(tx: &mut Transaction<'_>, session: Uuid) -> sqlx::Result<()> {
    sqlx::query(concat!(
        "UPDATE sessions SET closed_at = coalesce(closed_at, ",
        sql_now!("2"),
        ") WHERE id = $1"
    ))
    .bind(session)
    .bind(tx.shared.clock.said())
    .execute(&mut *tx.connection)
    .await?;
    sqlx::query("UPDATE leaders SET expires_at = 0 WHERE session = $1")
        .bind(session)
        .execute(&mut *tx.connection)
        .await?;
    Ok(())
}

/// Says that the node lives. Claims hold the session by its key alone, so this does not wait for them.
pub(super) async fn renew(
    connection: &mut PgConnection,
    session: Uuid,
    said: Option<i64>,
) -> sqlx::Result<Renewal> {
    let renewed = sqlx::query(concat!(
        "UPDATE sessions SET seen_at = ",
        sql_now!("2"),
        " WHERE id = $1 AND closed_at IS NULL"
    ))
    .bind(session)
    .bind(said)
    .execute(&mut *connection)
    .await?;
    if renewed.rows_affected() == 0 {
        return Ok(Renewal::Lost);
    }
    let rows = sqlx::query(
        "SELECT id, token, queue FROM jobs
         WHERE state = 3 AND session = $1 AND cancel_requested_at IS NOT NULL LIMIT $2",
    )
    .bind(session)
    .bind(CANCELS)
    .fetch_all(connection)
    .await?;
    let cancels = rows.iter().map(|row| {
        let lease = Lease { id: row.try_get("id")?, token: long(row, "token")? };
        Ok((lease, row.try_get("queue")?))
    });
    Ok(Renewal::Alive { cancels: cancels.collect::<sqlx::Result<_>>()? })
}

/// Takes or prolongs the leadership. Taking it from another session draws a larger token, which ends what that one still
/// has under way.
pub(super) async fn lead(
    connection: &mut PgConnection,
    session: Uuid,
    ttl: Duration,
    said: Option<i64>,
) -> sqlx::Result<Leadership> {
    let row = sqlx::query(concat!(
        "WITH clock AS MATERIALIZED (SELECT ",
        sql_now!("3"),
        " AS now)
         INSERT INTO leaders AS held (name, session, token, expires_at)
         SELECT 'leader', $1, 1, clock.now + $2 FROM clock
         ON CONFLICT (name) DO UPDATE SET
            session = excluded.session, expires_at = excluded.expires_at,
            token = held.token + CASE WHEN held.session = excluded.session THEN 0 ELSE 1 END
         WHERE held.session = excluded.session OR held.expires_at <= excluded.expires_at - $2
         RETURNING token"
    ))
    .bind(session)
    .bind(as_micros(ttl))
    .bind(said)
    .fetch_optional(&mut *connection)
    .await?;
    if let Some(row) = row {
        return Ok(Leadership::Leader { token: long(&row, "token")? });
    }
    let until: Option<i64> = sqlx::query_scalar("SELECT expires_at FROM leaders WHERE name = 'leader'")
        .fetch_optional(connection)
        .await?;
    Ok(Leadership::Follower { until: Timestamp::from_micros(until.unwrap_or(0)) })
}

/// Whether this token is that of the leadership, which cannot change hands before the transaction ends.
pub(super) async fn leads(connection: &mut PgConnection, token: u64) -> sqlx::Result<bool> {
    let held: Option<i32> =
        sqlx::query_scalar("SELECT 1 FROM leaders WHERE name = 'leader' AND token = $1 FOR SHARE")
            .bind(super::columns::as_long(token))
            .fetch_optional(connection)
            .await?;
    Ok(held.is_some())
}
