//! Nodes, what they are told to do, and the audit trail.

use std::time::Duration;

use callboard_contracts::{Labels, Timestamp, api::NodeAction};
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    batch, bulk,
    clock::sql_now,
    columns::{as_long, as_micros, as_text, long, optional_time, time, wide},
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

/// Whether the node of an open session reads what is stored, as a condition on `sessions`.
macro_rules! reads_enough {
    () => {
        "reads >= coalesce((SELECT substring(value FROM '^[0-9]{1,9}$')::bigint FROM settings WHERE key = 'min_reader'), 0)"
    };
}
/// Whether a queue asks for labels that the node of session `$n` does not have, as a condition on `queues`.
macro_rules! lacks_labels {
    ($session:literal) => {
        concat!(
            "(queues.labels IS NOT NULL AND NOT coalesce(string_to_array(queues.labels, ',') <@ (
                SELECT string_to_array(coalesce(of_node.labels, ''), ',') FROM sessions AS of_node WHERE of_node.id = ",
            $session,
            "), false))"
        )
    };
}
pub(super) use {lacks_labels, reads_enough};

pub(super) async fn describe(
    tx: &mut Transaction<'_>,
    session: Uuid,
    labels: &Labels,
    description: &NodeDescription,
) -> sqlx::Result<Outcome> {
    let changed = sqlx::query(
        "UPDATE sessions SET labels = $2, description = $3, reads = $4 WHERE id = $1 AND closed_at IS NULL",
    )
    .bind(session)
    .bind(labels_text(labels))
    .bind(serde_json::to_string(description).unwrap_or_default())
    .bind(i64::from(description.reads))
    .execute(&mut *tx.connection)
    .await?;
    Ok(if changed.rows_affected() == 0 { Outcome::NotFound } else { Outcome::Done })
}

pub(super) async fn label_queue(
    tx: &mut Transaction<'_>,
    queue: &str,
    labels: &Labels,
) -> sqlx::Result<Outcome> {
    let changed = sqlx::query("UPDATE queues SET labels = $2, updated_at = $3 WHERE name = $1")
        .bind(queue)
        .bind(labels_text(labels))
        .bind(tx.changes.now.as_micros())
        .execute(&mut *tx.connection)
        .await?;
    Ok(if changed.rows_affected() == 0 { Outcome::NotFound } else { Outcome::Done })
}

pub(super) async fn put_command(tx: &mut Transaction<'_>, command: &NewCommand) -> sqlx::Result<Outcome> {
    let NewCommand { id, node, action, by, valid_for } = command;
    sqlx::query(concat!(
        "INSERT INTO commands (id, node, action, by, ordered_at, valid_until)
         SELECT $1, $2, $3, $4, clock.now, clock.now + $5 FROM (SELECT ",
        sql_now!("6"),
        " AS now) AS clock ON CONFLICT (id) DO NOTHING"
    ))
    .bind(id)
    .bind(node)
    .bind(action_text(action))
    .bind(as_text(by))
    .bind(as_micros(*valid_for))
    .bind(tx.shared.clock.said())
    .execute(&mut *tx.connection)
    .await?;
    Ok(Outcome::Ordered { node: node.clone() })
}

pub(super) async fn end_command(
    tx: &mut Transaction<'_>,
    id: Uuid,
    end: &CommandEnd,
) -> sqlx::Result<Outcome> {
    let ended: Option<(String, String)> = sqlx::query_as(concat!(
        "UPDATE commands SET ended_at = ",
        sql_now!("4"),
        ", done = $2, outcome = $3 WHERE id = $1 AND ended_at IS NULL RETURNING node, action"
    ))
    .bind(id)
    .bind(end.done)
    .bind(as_text(&end.outcome))
    .bind(tx.shared.clock.said())
    .fetch_optional(&mut *tx.connection)
    .await?;
    let Some((node, action)) = ended else { return Ok(Outcome::NotFound) };
    note_end(tx, id, &node, &action, &of_command(end.done, &end.outcome)).await?;
    Ok(Outcome::Done)
}

async fn note_end(
    tx: &mut Transaction<'_>,
    id: Uuid,
    node: &str,
    action: &str,
    outcome: &str,
) -> sqlx::Result<()> {
    // Of one that only a newer program knows, no more can be said.
    let action = action_of(action).unwrap_or(NodeAction::Resume);
    audit(tx, &end_of(id, node, &action), outcome).await
}

/// Carries an operation out and keeps who has asked for it.
pub(super) async fn audited(
    tx: &mut Transaction<'_>,
    entry: &NewAudit,
    operation: &Operation,
) -> sqlx::Result<Outcome> {
    let outcome = run_one(tx, operation).await?;
    audit(tx, entry, &words(&outcome)).await?;
    Ok(outcome)
}

/// Of a type that can be named, since operations that are audited hold one more.
fn run_one<'t>(
    tx: &'t mut Transaction<'_>,
    operation: &'t Operation,
) -> BoxFuture<'t, sqlx::Result<Outcome>> {
    batch::run_one(tx, operation).boxed()
}

pub(super) async fn audit(tx: &mut Transaction<'_>, entry: &NewAudit, outcome: &str) -> sqlx::Result<()> {
    let NewAudit { id, by, role, action, target, detail } = entry;
    sqlx::query(concat!(
        "INSERT INTO audit (id, at, by, role, node, action, target, detail, outcome)
         VALUES ($1, ",
        sql_now!("2"),
        ", $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING"
    ))
    .bind(id)
    .bind(tx.shared.clock.said())
    .bind(as_text(by))
    .bind(role)
    .bind(&tx.shared.options.node)
    .bind(action)
    .bind(as_text(target))
    .bind(detail.as_deref().map(as_text))
    .bind(as_text(outcome))
    .execute(&mut *tx.connection)
    .await?;
    Ok(())
}

/// Ends what nobody has carried out in time, and deletes what is old or too much.
pub(super) async fn prune(tx: &mut Transaction<'_>, kept: Duration, limit: u32) -> sqlx::Result<Outcome> {
    let now = tx.changes.now.as_micros();
    let expired: Vec<(Uuid, String, String)> = sqlx::query_as(
        "UPDATE commands SET ended_at = $1, done = false, outcome = $2
         WHERE id IN (SELECT id FROM commands WHERE ended_at IS NULL AND valid_until <= $1 LIMIT $3
                      FOR UPDATE SKIP LOCKED)
         RETURNING id, node, action",
    )
    .bind(now)
    .bind(EXPIRED)
    .bind(i64::from(limit))
    .fetch_all(&mut *tx.connection)
    .await?;
    for (id, node, action) in &expired {
        note_end(tx, *id, node, action, EXPIRED).await?;
    }
    let before = tx.changes.now.saturating_sub(kept).as_micros();
    let commands = sqlx::query(
        "DELETE FROM commands WHERE id IN (SELECT id FROM commands WHERE ordered_at < $1 AND ended_at IS NOT NULL
                                           ORDER BY ordered_at LIMIT $2)",
    )
    .bind(before)
    .bind(i64::from(limit))
    .execute(&mut *tx.connection)
    .await?;
    let entries = sqlx::query(
        "DELETE FROM audit WHERE sequence IN (
            SELECT sequence FROM (SELECT sequence, at FROM audit ORDER BY sequence LIMIT $3) AS first
            WHERE at < $1 OR sequence <= (SELECT max(sequence) FROM audit) - $2)",
    )
    .bind(before)
    .bind(as_long(Operation::MOST_AUDITED))
    .bind(i64::from(limit))
    .execute(&mut *tx.connection)
    .await?;
    let bulks = bulk::prune(tx, before, limit).await?;
    let deleted = bulks.max(commands.rows_affected()).max(entries.rows_affected()).max(expired.len() as u64);
    Ok(Outcome::Pruned { jobs: 0, events: 0, more: deleted >= u64::from(limit) })
}

pub(super) async fn nodes(connection: &mut PgConnection, said: Option<i64>) -> sqlx::Result<Vec<NodeRecord>> {
    let rows = sqlx::query(concat!(
        "SELECT id, node, version, process, opened_at, seen_at, labels, description,
                (SELECT count(*) FROM jobs WHERE state = 3 AND session = sessions.id) AS executing,
                EXISTS (SELECT FROM leaders WHERE name = 'leader' AND session = sessions.id AND expires_at > ",
        sql_now!("1"),
        ") AS leads
         FROM sessions WHERE closed_at IS NULL ORDER BY node, opened_at"
    ))
    .bind(said)
    .fetch_all(connection)
    .await?;
    let nodes = rows.iter().map(|row| {
        Ok(NodeRecord {
            session: NewSession {
                id: row.try_get("id")?,
                node: row.try_get("node")?,
                version: row.try_get("version")?,
                process: wide(row, "process")?,
            },
            opened_at: time(row, "opened_at")?,
            seen_at: time(row, "seen_at")?,
            executing: long(row, "executing")?,
            leads: row.try_get("leads")?,
            labels: labels_of(row.try_get("labels")?),
            description: description_of(row.try_get("description")?),
        })
    });
    nodes.collect()
}

pub(super) async fn commands(
    connection: &mut PgConnection,
    filter: CommandFilter,
    limit: u32,
    now: Timestamp,
) -> sqlx::Result<Vec<CommandRecord>> {
    macro_rules! commands {
        ($which:literal) => {
            sqlx::query(concat!(
                "SELECT id, node, action, by, ordered_at, valid_until, ended_at, done, outcome FROM commands ",
                $which
            ))
        };
    }
    let limit = i64::from(limit);
    let rows = match filter {
        CommandFilter::Id(id) => {
            commands!("WHERE id = $1 LIMIT $2").bind(id).bind(limit).fetch_all(connection).await?
        }
        CommandFilter::WaitingFor(node) => {
            commands!(
                "WHERE node = $1 AND ended_at IS NULL AND valid_until > $2 ORDER BY ordered_at, id LIMIT $3"
            )
            .bind(node)
            .bind(now.as_micros())
            .bind(limit)
            .fetch_all(connection)
            .await?
        }
        CommandFilter::Newest => {
            commands!("ORDER BY ordered_at DESC, id DESC LIMIT $1").bind(limit).fetch_all(connection).await?
        }
    };
    rows.iter().filter_map(|row| command(row).transpose()).collect()
}

/// `None`: only a newer program knows what it is.
fn command(row: &PgRow) -> sqlx::Result<Option<CommandRecord>> {
    let Some(action) = action_of(row.try_get("action")?) else { return Ok(None) };
    let end = match (row.try_get("done")?, row.try_get("outcome")?) {
        (Some(done), Some(outcome)) => Some(CommandEnd { done, outcome }),
        _ => None,
    };
    Ok(Some(CommandRecord {
        id: row.try_get("id")?,
        node: row.try_get("node")?,
        action,
        by: row.try_get("by")?,
        ordered_at: time(row, "ordered_at")?,
        valid_until: time(row, "valid_until")?,
        ended_at: optional_time(row, "ended_at")?,
        end,
    }))
}

pub(super) async fn audit_page(
    connection: &mut PgConnection,
    before: Option<u64>,
    limit: u32,
) -> sqlx::Result<Vec<AuditRecord>> {
    let rows = sqlx::query(
        "SELECT sequence, id, at, by, role, node, action, target, detail, outcome FROM audit
         WHERE sequence < $1 ORDER BY sequence DESC LIMIT $2",
    )
    .bind(before.map_or(i64::MAX, as_long))
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    let entries = rows.iter().map(|row| {
        Ok(AuditRecord {
            sequence: long(row, "sequence")?,
            entry: NewAudit {
                id: row.try_get("id")?,
                by: row.try_get("by")?,
                role: row.try_get("role")?,
                action: row.try_get("action")?,
                target: row.try_get("target")?,
                detail: row.try_get("detail")?,
            },
            at: time(row, "at")?,
            node: row.try_get("node")?,
            outcome: row.try_get("outcome")?,
        })
    });
    entries.collect()
}
