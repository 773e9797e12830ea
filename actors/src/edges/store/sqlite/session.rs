//! Sessions: the lives of nodes.

use std::time::Duration;

use callboard_contracts::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::{jobs::id, transaction::Transaction};
use crate::edges::store::{
    Outcome, Renewal,
    record::{Lease, NewSession},
};

pub(super) fn open(tx: &Transaction<'_>, session: &NewSession) -> rusqlite::Result<Outcome> {
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO sessions (id, node, version, process, opened_at, seen_at) VALUES (?1, ?2, ?3, ?4, ?5, ?5)
         ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at",
    )?;
    let NewSession { id, node, version, process } = session;
    statement.execute(params![id.as_bytes(), node, version, process, tx.changes.now.as_micros()])?;
    Ok(Outcome::Done)
}

/// Whether jobs may be claimed under this session.
pub(super) fn is_open(tx: &Transaction<'_>, session: Uuid) -> rusqlite::Result<bool> {
    let mut statement =
        tx.connection.prepare_cached("SELECT 1 FROM sessions WHERE id = ?1 AND closed_at IS NULL")?;
    statement.exists([session.as_bytes()])
}

/// Whether there is such a session, and it has not said for so long that it lives.
pub(super) fn is_idle(
    tx: &Transaction<'_>,
    session: Uuid,
    idle_for: Option<Duration>,
) -> rusqlite::Result<bool> {
    let mut statement = tx.connection.prepare_cached("SELECT seen_at FROM sessions WHERE id = ?1")?;
    let seen_at: Option<i64> = statement.query_row([session.as_bytes()], |row| row.get(0)).optional()?;
    let long_enough = |seen_at| {
        let silent = tx.changes.now.saturating_since(Timestamp::from_micros(seen_at));
        idle_for.is_none_or(|idle_for| silent >= idle_for)
    };
    Ok(seen_at.is_some_and(long_enough))
}

pub(super) fn close(tx: &Transaction<'_>, session: Uuid) -> rusqlite::Result<()> {
    let mut statement = tx
        .connection
        .prepare_cached("UPDATE sessions SET closed_at = coalesce(closed_at, ?2) WHERE id = ?1")?;
    statement.execute(params![session.as_bytes(), tx.changes.now.as_micros()])?;
    Ok(())
}

/// The node lives. One statement writes, so it needs no transaction.
pub(super) fn renew(connection: &Connection, session: Uuid, now: Timestamp) -> rusqlite::Result<Renewal> {
    let mut renewed =
        connection.prepare_cached("UPDATE sessions SET seen_at = ?2 WHERE id = ?1 AND closed_at IS NULL")?;
    if renewed.execute(params![session.as_bytes(), now.as_micros()])? == 0 {
        return Ok(Renewal::Lost);
    }
    let mut asked = connection.prepare_cached(
        "SELECT id, token, queue FROM jobs WHERE state = 3 AND session = ?1 AND cancel_requested_at IS NOT NULL",
    )?;
    let cancels = asked.query_map([session.as_bytes()], |row| {
        Ok((Lease { id: id(row, 0)?, token: row.get(1)? }, row.get(2)?))
    })?;
    Ok(Renewal::Alive { cancels: cancels.collect::<Result<_, _>>()? })
}
