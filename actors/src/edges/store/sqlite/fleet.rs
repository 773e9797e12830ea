//! Nodes, what they are told to do, and the audit trail.

use std::time::Duration;

use callboard_contracts::{Labels, Timestamp, api::NodeAction};
use rusqlite::{Connection, OptionalExtension, Row, params};
use uuid::Uuid;

use super::{
    batch, bulk,
    jobs::{id, optional_time, time},
    transaction::Transaction,
};
use crate::edges::store::{
    Operation, Outcome,
    record::{
        AuditRecord, CommandEnd, CommandFilter, CommandRecord, EXPIRED, NewAudit, NewCommand, NewSession,
        NodeDescription, NodeRecord,
    },
    transition::fleet::{
        action_of, action_text, description_of, end_of, labels_of, labels_text, of_command, words,
    },
};

pub(super) fn describe(
    tx: &Transaction<'_>,
    session: Uuid,
    labels: &Labels,
    description: &NodeDescription,
) -> rusqlite::Result<Outcome> {
    let mut statement = tx.connection.prepare_cached(
        "UPDATE sessions SET labels = ?2, description = ?3, reads = ?4 WHERE id = ?1 AND closed_at IS NULL",
    )?;
    let text = serde_json::to_string(description).unwrap_or_default();
    let changed =
        statement.execute(params![session.as_bytes(), labels_text(labels), text, description.reads])?;
    Ok(if changed == 0 { Outcome::NotFound } else { Outcome::Done })
}

pub(super) fn label_queue(tx: &Transaction<'_>, queue: &str, labels: &Labels) -> rusqlite::Result<Outcome> {
    let mut statement =
        tx.connection.prepare_cached("UPDATE queues SET labels = ?2, updated_at = ?3 WHERE name = ?1")?;
    let changed = statement.execute(params![queue, labels_text(labels), tx.changes.now.as_micros()])?;
    Ok(if changed == 0 { Outcome::NotFound } else { Outcome::Done })
}

/// Whether jobs of a queue may be claimed under an open session: its node has the labels that are asked for, and reads what
/// is stored.
pub(super) fn may_claim(tx: &Transaction<'_>, queue: &str, session: Uuid) -> rusqlite::Result<bool> {
    let mut statement = tx.connection.prepare_cached(
        "SELECT (SELECT labels FROM queues WHERE name = ?2), labels,
                reads >= coalesce((SELECT CAST(value AS INTEGER) FROM settings WHERE key = 'min_reader'), 0)
         FROM sessions WHERE id = ?1",
    )?;
    statement.query_row(params![session.as_bytes(), queue], |row| {
        let needed: Option<String> = row.get(0)?;
        let has = needed.is_none() || labels_of(row.get(1)?).fulfil(&labels_of(needed));
        Ok(has && row.get(2)?)
    })
}

pub(super) fn put_command(tx: &Transaction<'_>, command: &NewCommand) -> rusqlite::Result<Outcome> {
    let NewCommand { id, node, action, by, valid_for } = command;
    let now = tx.changes.now;
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO commands (id, node, action, by, ordered_at, valid_until) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id) DO NOTHING",
    )?;
    let until = now.saturating_add(*valid_for);
    statement.execute(params![
        id.as_bytes(),
        node,
        action_text(action),
        by,
        now.as_micros(),
        until.as_micros()
    ])?;
    Ok(Outcome::Ordered { node: node.clone() })
}

pub(super) fn end_command(tx: &Transaction<'_>, id: Uuid, end: &CommandEnd) -> rusqlite::Result<Outcome> {
    let mut statement = tx.connection.prepare_cached(
        "UPDATE commands SET ended_at = ?2, done = ?3, outcome = ?4 WHERE id = ?1 AND ended_at IS NULL
         RETURNING node, action",
    )?;
    let ended: Option<(String, String)> = statement
        .query_row(params![id.as_bytes(), tx.changes.now.as_micros(), end.done, end.outcome], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((node, action)) = ended else { return Ok(Outcome::NotFound) };
    note_end(tx, id, &node, &action, &of_command(end.done, &end.outcome))?;
    Ok(Outcome::Done)
}

fn note_end(tx: &Transaction<'_>, id: Uuid, node: &str, action: &str, outcome: &str) -> rusqlite::Result<()> {
    // Of one that only a newer program knows, no more can be said.
    let action = action_of(action).unwrap_or(NodeAction::Resume);
    audit(tx, &end_of(id, node, &action), outcome)
}

/// Carries an operation out and keeps who has asked for it.
pub(super) fn audited(
    tx: &mut Transaction<'_>,
    entry: &NewAudit,
    operation: &Operation,
) -> rusqlite::Result<Outcome> {
    let outcome = batch::run_one(tx, operation)?;
    audit(tx, entry, &words(&outcome))?;
    Ok(outcome)
}

pub(super) fn audit(tx: &Transaction<'_>, entry: &NewAudit, outcome: &str) -> rusqlite::Result<()> {
    let NewAudit { id, by, role, action, target, detail } = entry;
    let mut statement = tx.connection.prepare_cached(
        "INSERT INTO audit (id, at, by, role, node, action, target, detail, outcome)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT (id) DO NOTHING",
    )?;
    let (at, node) = (tx.changes.now.as_micros(), &tx.options.node);
    statement.execute(params![id.as_bytes(), at, by, role, node, action, target, detail, outcome])?;
    Ok(())
}

/// Ends what nobody has carried out in time, and deletes what is old or too much.
pub(super) fn prune(tx: &Transaction<'_>, kept: Duration, limit: u32) -> rusqlite::Result<Outcome> {
    let now = tx.changes.now.as_micros();
    let expired: Vec<(Uuid, String, String)> = tx
        .connection
        .prepare_cached(
            "UPDATE commands SET ended_at = ?1, done = 0, outcome = ?2
             WHERE id IN (SELECT id FROM commands WHERE ended_at IS NULL AND valid_until <= ?1 LIMIT ?3)
             RETURNING id, node, action",
        )?
        .query_map(params![now, EXPIRED, limit], |row| Ok((id(row, 0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    for (id, node, action) in &expired {
        note_end(tx, *id, node, action, EXPIRED)?;
    }
    let before = tx.changes.now.saturating_sub(kept).as_micros();
    let commands = tx
        .connection
        .prepare_cached(
            "DELETE FROM commands WHERE id IN (SELECT id FROM commands WHERE ordered_at < ?1 AND ended_at IS NOT NULL
                                               ORDER BY ordered_at LIMIT ?2)",
        )?
        .execute(params![before, limit])?;
    let entries = tx
        .connection
        .prepare_cached(
            "DELETE FROM audit WHERE sequence IN (
                SELECT sequence FROM (SELECT sequence, at FROM audit ORDER BY sequence LIMIT ?3)
                WHERE at < ?1 OR sequence <= (SELECT max(sequence) FROM audit) - ?2)",
        )?
        .execute(params![before, Operation::MOST_AUDITED, limit])?;
    let bulks = bulk::prune(tx, before, limit)?;
    let most = [expired.len(), commands, entries, bulks].into_iter().max().unwrap_or(0);
    Ok(Outcome::Pruned { jobs: 0, events: 0, more: most >= limit as usize })
}

pub(super) fn nodes(connection: &Connection) -> rusqlite::Result<Vec<NodeRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, node, version, process, opened_at, seen_at, labels, description,
                (SELECT count(*) FROM jobs WHERE state = 3 AND session = sessions.id)
         FROM sessions WHERE closed_at IS NULL ORDER BY node, opened_at",
    )?;
    let nodes = statement.query_map((), |row| {
        Ok(NodeRecord {
            session: NewSession {
                id: id(row, 0)?,
                node: row.get(1)?,
                version: row.get(2)?,
                process: row.get(3)?,
            },
            opened_at: time(row, 4)?,
            seen_at: time(row, 5)?,
            executing: row.get(8)?,
            leads: false,
            labels: labels_of(row.get(6)?),
            description: description_of(row.get(7)?),
        })
    })?;
    let mut nodes: Vec<NodeRecord> = nodes.collect::<Result<_, _>>()?;
    // The one process that holds the file leads; another session is that of one before it, which is dead.
    if let Some(newest) = nodes.iter_mut().max_by_key(|node| node.opened_at) {
        newest.leads = true;
    }
    Ok(nodes)
}

pub(super) fn commands(
    connection: &Connection,
    filter: &CommandFilter,
    limit: u32,
    now: Timestamp,
) -> rusqlite::Result<Vec<CommandRecord>> {
    macro_rules! commands {
        ($which:literal) => {
            connection.prepare_cached(concat!(
                "SELECT id, node, action, by, ordered_at, valid_until, ended_at, done, outcome FROM commands ",
                $which
            ))?
        };
    }
    let found: Vec<Option<CommandRecord>> = match filter {
        CommandFilter::Id(id) => {
            let mut statement = commands!("WHERE id = ?1 LIMIT ?2");
            statement.query_map(params![id.as_bytes(), limit], command)?.collect::<Result<_, _>>()?
        }
        CommandFilter::WaitingFor(node) => {
            let mut statement = commands!(
                "WHERE node = ?1 AND ended_at IS NULL AND valid_until > ?2 ORDER BY ordered_at, id LIMIT ?3"
            );
            let parameters = params![node, now.as_micros(), limit];
            statement.query_map(parameters, command)?.collect::<Result<_, _>>()?
        }
        CommandFilter::Newest => {
            let mut statement = commands!("ORDER BY ordered_at DESC, id DESC LIMIT ?1");
            statement.query_map([limit], command)?.collect::<Result<_, _>>()?
        }
    };
    Ok(found.into_iter().flatten().collect())
}

/// `None`: only a newer program knows what it is.
fn command(row: &Row<'_>) -> rusqlite::Result<Option<CommandRecord>> {
    let Some(action) = action_of(&row.get::<_, String>(2)?) else { return Ok(None) };
    let end = match (row.get::<_, Option<bool>>(7)?, row.get::<_, Option<String>>(8)?) {
        (Some(done), Some(outcome)) => Some(CommandEnd { done, outcome }),
        _ => None,
    };
    Ok(Some(CommandRecord {
        id: id(row, 0)?,
        node: row.get(1)?,
        action,
        by: row.get(3)?,
        ordered_at: time(row, 4)?,
        valid_until: time(row, 5)?,
        ended_at: optional_time(row, 6)?,
        end,
    }))
}

pub(super) fn audit_page(
    connection: &Connection,
    before: Option<u64>,
    limit: u32,
) -> rusqlite::Result<Vec<AuditRecord>> {
    let mut statement = connection.prepare_cached(
        "SELECT sequence, id, at, by, role, node, action, target, detail, outcome FROM audit
         WHERE sequence < ?1 ORDER BY sequence DESC LIMIT ?2",
    )?;
    let before = before.and_then(|before| i64::try_from(before).ok()).unwrap_or(i64::MAX);
    let entries = statement.query_map(params![before, limit], |row| {
        Ok(AuditRecord {
            sequence: row.get(0)?,
            entry: NewAudit {
                id: id(row, 1)?,
                by: row.get(3)?,
                role: row.get(4)?,
                action: row.get(6)?,
                target: row.get(7)?,
                detail: row.get(8)?,
            },
            at: time(row, 2)?,
            node: row.get(5)?,
            outcome: row.get(9)?,
        })
    })?;
    entries.collect()
}
