//! Claims of queues that do not simply give what comes first: with limits, or with keys that take turns.
//!
//! Such claims themselves take turns by the lock of the queue's row, and the statements after it see what the one before has
//! claimed: no limit is ever passed. As it is counted from the jobs themselves, nothing that dies leaves a place taken.

use std::collections::HashMap;

use callboard_contracts::Timestamp;
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{
    attempts,
    columns::{limits, long},
    fleet::{lacks_labels, reads_enough},
    transaction::Transaction,
};
use crate::edges::store::{
    Outcome,
    record::ClaimedJob,
    transition::{
        turns::{Ask, Held, KeyUse, Turns, answer, counts, room},
        window::{Used, Window},
    },
};

/// What holds for a queue, if anything does. The order has the database take the index, as below.
const HELD: &str = concat!(
    "SELECT paused_at IS NOT NULL OR ",
    lacks_labels!("$2"),
    " AS paused, max_running, max_running_per_key, rate, rate_per_key, last_key,
            first.partition_key IS NOT NULL AS keyed
     FROM queues LEFT JOIN LATERAL (
        SELECT partition_key FROM jobs WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key IS NOT NULL
        ORDER BY partition_key LIMIT 1
     ) AS first ON true
     WHERE name = $1 AND (max_running IS NOT NULL OR rate IS NOT NULL OR first.partition_key IS NOT NULL)
     FOR UPDATE OF queues"
);
/// Whether there are available jobs without a key. The order has the database take the index, however many there seem
/// to be.
const WITHOUT_KEY: &str = "SELECT (
        SELECT true FROM jobs WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key IS NULL
        ORDER BY priority DESC, scheduled_at, sequence LIMIT 1
     ) IS NOT NULL";
/// Keys with available jobs, after one and up to another, with what is to be known of each.
const KEYS: &str = "WITH RECURSIVE keys (key, number) AS (
        SELECT (SELECT partition_key FROM jobs WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key > $2
                ORDER BY partition_key LIMIT 1), 1
        UNION ALL
        SELECT (SELECT partition_key FROM jobs WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key > keys.key
                ORDER BY partition_key LIMIT 1), number + 1
        FROM keys WHERE key IS NOT NULL AND ($3::text IS NULL OR key < $3) AND number < $4
     )
     SELECT key,
            CASE WHEN $5 THEN (SELECT count(*) FROM jobs WHERE queue = $1 AND state = 3 AND partition_key = key)
                 ELSE 0 END AS executing,
            coalesce(used.claims, 0)::bigint AS claims, used.oldest
     FROM keys LEFT JOIN LATERAL (
        SELECT sum(claims) AS claims, min(slice) AS oldest FROM claim_counts
        WHERE $6::bigint IS NOT NULL AND queue = $1 AND partition_key = key AND slice BETWEEN $6 AND $7
     ) AS used ON true
     WHERE key IS NOT NULL AND ($3 IS NULL OR key <= $3)
     ORDER BY number";
/// The first jobs of each of these keys.
const FIRST_OF_EACH: &str = "SELECT place, id FROM (
        SELECT place, id, rank, since, sequence
        FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS wanted (key, depth, place)
        CROSS JOIN LATERAL (
            SELECT id, priority AS rank, scheduled_at AS since, sequence FROM jobs
            WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key = wanted.key
                  AND (needs IS NULL OR NOT string_to_array(needs, ',') && ARRAY(
                        SELECT name FROM edges WHERE tripped_at IS NOT NULL AND (until IS NULL OR until > $4)))
            ORDER BY priority DESC, scheduled_at, sequence LIMIT wanted.depth
        ) AS first WHERE wanted.key IS NOT NULL
        UNION ALL
        SELECT place, id, rank, since, sequence
        FROM unnest($2::text[], $3::bigint[]) WITH ORDINALITY AS wanted (key, depth, place)
        CROSS JOIN LATERAL (
            SELECT id, priority AS rank, scheduled_at AS since, sequence FROM jobs
            WHERE queue = $1 AND state = 2 AND parked IS NULL AND partition_key IS NULL
                  AND (needs IS NULL OR NOT string_to_array(needs, ',') && ARRAY(
                        SELECT name FROM edges WHERE tripped_at IS NOT NULL AND (until IS NULL OR until > $4)))
            ORDER BY priority DESC, scheduled_at, sequence LIMIT wanted.depth
        ) AS first WHERE wanted.key IS NULL
     ) AS all_of_them ORDER BY place, rank DESC, since, sequence";

/// Locks the queue's row.
pub(super) async fn lock(tx: &mut Transaction<'_>, queue: &str) -> sqlx::Result<()> {
    let lock = sqlx::query("SELECT FROM queues WHERE name = $1 FOR UPDATE").bind(queue);
    lock.execute(&mut *tx.connection).await?;
    Ok(())
}

/// What holds for claims of a queue, if anything does; its row is locked then.
pub(super) async fn held(tx: &mut Transaction<'_>, queue: &str, session: Uuid) -> sqlx::Result<Option<Held>> {
    let row = sqlx::query(HELD).bind(queue).bind(session).fetch_optional(&mut *tx.connection).await?;
    let held = row.map(|row| {
        Ok(Held {
            paused: row.try_get("paused")?,
            limits: limits(&row)?,
            last_key: row.try_get("last_key")?,
            keyed: row.try_get("keyed")?,
        })
    });
    held.transpose()
}

/// Leases jobs for a session, by turns and as far as the limits allow.
pub(super) async fn claim(
    tx: &mut Transaction<'_>,
    queue: &str,
    limit: u32,
    session: Uuid,
    held: &Held,
) -> sqlx::Result<Outcome> {
    // The row's lock may have been waited for: what is claimed counts from now on.
    let now = tx.shared.clock.now();
    let rate = match held.limits.rate.map(|rate| Window::of(rate, now)) {
        Some(window) => Some((window, used(tx.connection, queue, "", &window).await?)),
        None => None,
    };
    let executing = match held.limits.max_running {
        Some(_) => executing(tx.connection, queue).await?,
        None => 0,
    };
    let room = room(held, limit, executing, rate);
    let given = if room > 0 && held.keyed {
        by_turns(tx, queue, room, session, held, now).await?
    } else {
        let jobs = attempts::first_come(tx, queue, room, session, attempts::Of::AnyQueue).await?;
        let open = !jobs.is_empty() || attempts::is_open(tx.connection, session).await?;
        open.then_some((jobs, None))
    };
    let Some((jobs, again_at)) = given else { return Ok(Outcome::NotFound) };
    let counts = counts(&held.limits, &jobs, now);
    if !counts.is_empty() {
        sqlx::query(
            "INSERT INTO claim_counts (queue, partition_key, slice, claims, expires_at)
             SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[])
             ON CONFLICT (queue, partition_key, slice)
             DO UPDATE SET claims = claim_counts.claims + excluded.claims,
                           expires_at = greatest(claim_counts.expires_at, excluded.expires_at)",
        )
        .bind(queue)
        .bind(counts.iter().map(|count| count.key.as_str()).collect::<Vec<_>>())
        .bind(counts.iter().map(|count| count.slice).collect::<Vec<_>>())
        .bind(counts.iter().map(|count| count.claims).collect::<Vec<_>>())
        .bind(counts.iter().map(|count| count.expires_at).collect::<Vec<_>>())
        .execute(&mut *tx.connection)
        .await?;
    }
    Ok(answer(jobs, limit, room, rate, again_at))
}

/// `None`: the session is not open.
async fn by_turns(
    tx: &mut Transaction<'_>,
    queue: &str,
    wanted: u32,
    session: Uuid,
    held: &Held,
    now: Timestamp,
) -> sqlx::Result<Option<(Vec<ClaimedJob>, Option<Timestamp>)>> {
    let mut turns = Turns::new(held, wanted, now);
    while let Some(ask) = turns.ask() {
        match ask {
            Ask::Keys { after, upto, count } => {
                let found = keys(tx.connection, queue, &after, upto.as_deref(), count, &turns).await?;
                turns.keys(found, count);
            }
            Ask::WithoutKey => {
                let some: bool =
                    sqlx::query_scalar(WITHOUT_KEY).bind(queue).fetch_one(&mut *tx.connection).await?;
                turns.without_key(some);
            }
        }
    }
    let chosen = turns.deal(first_of_each(tx.connection, queue, &turns, now).await?);
    let jobs = lease(tx, queue, chosen, session).await?;
    if jobs.is_empty() && !attempts::is_open(tx.connection, session).await? {
        return Ok(None);
    }
    let next = turns.next_after(&jobs);
    if next != held.last_key {
        let write = sqlx::query("UPDATE queues SET last_key = $2 WHERE name = $1").bind(queue).bind(next);
        write.execute(&mut *tx.connection).await?;
    }
    let again_at = turns.again_at(&jobs, now);
    Ok(Some((jobs, again_at)))
}

async fn executing(connection: &mut PgConnection, queue: &str) -> sqlx::Result<u64> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM jobs WHERE state = 3 AND queue = $1")
        .bind(queue)
        .fetch_one(connection)
        .await?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// What was claimed of a key, or with an empty one of the whole queue.
pub(super) async fn used(
    connection: &mut PgConnection,
    queue: &str,
    key: &str,
    window: &Window,
) -> sqlx::Result<Used> {
    let row = sqlx::query(
        "SELECT coalesce(sum(claims), 0)::bigint AS claims, min(slice) AS oldest FROM claim_counts
         WHERE queue = $1 AND partition_key = $2 AND slice BETWEEN $3 AND $4",
    )
    .bind(queue)
    .bind(key)
    .bind(window.first)
    .bind(window.last)
    .fetch_one(connection)
    .await?;
    Ok(Used { claims: long(&row, "claims")?, oldest: row.try_get("oldest")? })
}

/// The next keys that have available jobs, each found at once in the index, however many jobs the one before has.
async fn keys(
    connection: &mut PgConnection,
    queue: &str,
    after: &str,
    upto: Option<&str>,
    count: usize,
    turns: &Turns,
) -> sqlx::Result<Vec<KeyUse>> {
    let window = turns.window();
    let rows = sqlx::query(KEYS)
        .bind(queue)
        .bind(after)
        .bind(upto)
        .bind(i64::try_from(count).unwrap_or(i64::MAX))
        .bind(turns.counts_executing())
        .bind(window.map(|window| window.first))
        .bind(window.map(|window| window.last))
        .fetch_all(connection)
        .await?;
    let found = rows.iter().map(|row| {
        Ok(KeyUse {
            key: row.try_get("key")?,
            executing: long(row, "executing")?,
            used: Used { claims: long(row, "claims")?, oldest: row.try_get("oldest")? },
        })
    });
    found.collect()
}

/// The first jobs of each group.
async fn first_of_each(
    connection: &mut PgConnection,
    queue: &str,
    turns: &Turns,
    now: Timestamp,
) -> sqlx::Result<Vec<Vec<Uuid>>> {
    let groups: Vec<(Option<&str>, u32)> = turns.groups().collect();
    let mut found = vec![Vec::new(); groups.len()];
    if groups.is_empty() {
        return Ok(found);
    }
    let rows = sqlx::query(FIRST_OF_EACH)
        .bind(queue)
        .bind(groups.iter().map(|(key, _)| *key).collect::<Vec<_>>())
        .bind(groups.iter().map(|(_, depth)| i64::from(*depth)).collect::<Vec<_>>())
        .bind(now.as_micros())
        .fetch_all(connection)
        .await?;
    for row in rows {
        let place = usize::try_from(row.try_get::<i64, _>("place")? - 1).unwrap_or(usize::MAX);
        if let Some(group) = found.get_mut(place) {
            group.push(row.try_get("id")?);
        }
    }
    Ok(found)
}

/// Leases these jobs, as far as nobody else holds them.
async fn lease(
    tx: &mut Transaction<'_>,
    queue: &str,
    chosen: Vec<Uuid>,
    session: Uuid,
) -> sqlx::Result<Vec<ClaimedJob>> {
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let mut rows: Vec<(usize, PgRow)> = Vec::with_capacity(chosen.len());
    let places: HashMap<Uuid, usize> = chosen.iter().zip(0..).map(|(id, place)| (*id, place)).collect();
    let found = sqlx::query(concat!(
        "WITH session AS (
            SELECT FROM sessions WHERE id = $1 AND closed_at IS NULL AND ",
        reads_enough!(),
        " FOR KEY SHARE
         ), chosen AS (
            SELECT id FROM jobs WHERE id = ANY($2) AND state = 2 AND EXISTS (SELECT FROM session) FOR UPDATE SKIP LOCKED
         ), claimed AS (
            UPDATE jobs SET state = 3, attempt = attempt + 1, token = nextval('lease_token'), session = $1,
                            claimed_at = $3, updated_at = $3, started_at = NULL, claims = claims + 1
            FROM chosen WHERE jobs.id = chosen.id
            RETURNING jobs.id, type, attempt, max_attempts, timeout, correlation_id, created_at, claimed_at, claims, token,
                      partition_key
         )
         SELECT claimed.*, body.payload, body.metadata, body.document, body.trace_context
         FROM claimed JOIN job_bodies AS body ON body.id = claimed.id"
    ))
    .bind(session)
    .bind(&chosen)
    .bind(tx.changes.now.as_micros())
    .fetch_all(&mut *tx.connection)
    .await?;
    for row in found {
        rows.push((places.get(&row.try_get("id")?).copied().unwrap_or(usize::MAX), row));
    }
    rows.sort_by_key(|(place, _)| *place);
    let rows: Vec<PgRow> = rows.into_iter().map(|(_, row)| row).collect();
    attempts::note_all(tx, &rows, queue)
}

#[cfg(test)]
mod tests {
    use callboard_testsupport::Database;
    use sqlx::{AssertSqlSafe, Connection, Row};

    use super::*;
    use crate::edges::store::{PostgresOptions, PostgresStore};

    /// A store in which one key has 20,000 available jobs, 300 keys have 10, and 20,000 jobs have none; half as many of
    /// each are with a node. If they are not `known`, the database remembers a time when no job had a key.
    async fn filled(known: bool) -> (Database, PgConnection) {
        let made = tokio::task::spawn_blocking(|| {
            let database = Database::create();
            drop(PostgresStore::open(PostgresOptions::new(database.url())).expect("a store"));
            database
        });
        let database = made.await.expect("a database");
        let mut connection = PgConnection::connect(database.url()).await.expect("a connection");
        for sql in [
            "SET search_path TO callboard",
            "INSERT INTO queues (name, concurrency, max_backlog, updated_at) VALUES ('q', 1, 1, 1)",
            "ALTER TABLE jobs SET (autovacuum_enabled = false)",
            "ALTER TABLE claim_counts SET (autovacuum_enabled = false)",
            "INSERT INTO jobs (id, sequence, type, queue, state, max_attempts, timeout, correlation_id, created_at, updated_at,
                               scheduled_at)
             SELECT gen_random_uuid(), n, 't', 'q', 5, 3, 1, gen_random_uuid(), n, n, n FROM generate_series(1, 5000) AS n",
            "VACUUM ANALYZE",
            "INSERT INTO jobs (id, sequence, type, queue, state, max_attempts, timeout, correlation_id, created_at, updated_at,
                               scheduled_at, partition_key)
             SELECT gen_random_uuid(), n, 't', 'q', 2 + (n % 3 = 0)::int, 3, 1, gen_random_uuid(), n, n, n,
                    CASE WHEN n <= 30000 THEN 'heavy' WHEN n <= 34500 THEN 'key ' || n % 300 END
             FROM generate_series(1, 64500) AS n",
            "INSERT INTO claim_counts (queue, partition_key, slice, claims, expires_at)
             SELECT 'q', 'key ' || n % 300, n, 1, n FROM generate_series(1, 30000) AS n",
            if known { "VACUUM ANALYZE" } else { "VACUUM" },
        ] {
            sqlx::query(sql).execute(&mut connection).await.expect(sql);
        }
        (database, connection)
    }

    /// The plan of a statement that was run, and how many rows its largest step has read.
    async fn plan(
        connection: &mut PgConnection,
        sql: &str,
        bind: impl FnOnce(
            sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>,
        ) -> sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> (String, u64) {
        let explain = format!("EXPLAIN (ANALYZE, TIMING OFF, SUMMARY OFF) {sql}");
        let rows = bind(sqlx::query(AssertSqlSafe(explain))).fetch_all(connection).await.expect("a plan");
        let lines: Vec<String> = rows.iter().map(|row| row.get::<String, _>(0)).collect();
        let number = |text: &str, after: &str| {
            let digits = text.split_once(after)?.1;
            digits.split(|letter: char| !letter.is_ascii_digit()).next()?.parse::<u64>().ok()
        };
        let read = lines.iter().flat_map(|line| {
            let actual = line.split_once("(actual").map(|(_, actual)| actual);
            let rows = actual.and_then(|actual| Some(number(actual, "rows=")? * number(actual, "loops=")?));
            [rows, number(line, "Rows Removed by Filter: ")]
        });
        let most = read.flatten().max().unwrap_or(0);
        (lines.join("\n"), most)
    }

    #[tokio::test]
    async fn no_statement_reads_more_than_it_gives() {
        reads_little(true).await;
        reads_little(false).await;
    }

    /// The usual claim, of a queue that asks for labels: of a node that has them, and of one that has not.
    #[tokio::test]
    async fn a_claim_of_a_queue_that_asks_for_labels_reads_what_it_gives() {
        let (_database, mut connection) = filled(true).await;
        for sql in [
            "INSERT INTO queues (name, concurrency, max_backlog, updated_at, labels) VALUES ('asking', 1, 1, 1, 'gpu=yes')",
            "INSERT INTO sessions (id, node, version, process, opened_at, seen_at, labels)
             SELECT lpad(n::text, 32, '0')::uuid, 'node', '0', 1, 1, 1, CASE WHEN n = 1 THEN 'gpu=yes,zone=eu' ELSE 'gpu=no' END
             FROM generate_series(1, 50) AS n",
            "INSERT INTO jobs (id, sequence, type, queue, state, max_attempts, timeout, correlation_id, created_at, updated_at,
                               scheduled_at)
             SELECT gen_random_uuid(), n, 't', 'asking', 2, 3, 1, gen_random_uuid(), n, n, n
             FROM generate_series(70001, 90000) AS n",
            "VACUUM ANALYZE",
        ] {
            sqlx::query(sql).execute(&mut connection).await.expect(sql);
        }
        for (session, given) in [(1, 5), (2, 0)] {
            let (shown, read) = plan(&mut connection, attempts::FIRST_COME, |query| {
                query.bind(Uuid::from_u128(session)).bind("asking").bind(5_i64).bind(1_i64).bind(true)
            })
            .await;
            assert!(shown.contains("jobs_available ") && !shown.contains("Seq Scan on jobs"), "{shown}");
            let gives = |line: &str| line.contains("LockRows") && line.contains(&format!("rows={given} "));
            // Of the few sessions of nodes, all may be looked at.
            assert!(shown.lines().any(gives) && read <= 50, "{read} rows\n{shown}");
        }
    }

    async fn reads_little(known: bool) {
        let (_database, mut connection) = filled(known).await;
        let (shown, read) = plan(&mut connection, HELD, |query| query.bind("q").bind(Uuid::nil())).await;
        assert!(shown.contains("jobs_available_by_key") && read <= 1, "{shown}");
        let (shown, read) = plan(&mut connection, WITHOUT_KEY, |query| query.bind("q")).await;
        assert!(shown.contains("jobs_available ") && read <= 1, "{shown}");
        for (after, upto) in [("", None), ("key 2", Some("key 299"))] {
            let (shown, read) = plan(&mut connection, KEYS, |query| {
                query
                    .bind("q")
                    .bind(after)
                    .bind(upto)
                    .bind(16_i64)
                    .bind(false)
                    .bind(Some(29_000_i64))
                    .bind(Some(30_000_i64))
            })
            .await;
            assert!(
                shown.contains("jobs_available_by_key") && shown.contains("claim_counts_pkey"),
                "{shown}"
            );
            assert!(!shown.contains("Seq Scan") && read <= 100, "{read} rows\n{shown}");
        }
        let (shown, read) = plan(&mut connection, KEYS, |query| {
            query
                .bind("q")
                .bind("heavy")
                .bind(None::<&str>)
                .bind(16_i64)
                .bind(true)
                .bind(None::<i64>)
                .bind(None::<i64>)
        })
        .await;
        assert!(shown.contains("jobs_executing_by_key") && read <= 100, "{read} rows\n{shown}");
        let groups = vec![Some("heavy"), Some("key 7"), None];
        let (shown, read) = plan(&mut connection, FIRST_OF_EACH, |query| {
            query.bind("q").bind(groups).bind(vec![5_i64; 3]).bind(1_i64)
        })
        .await;
        assert!(shown.contains("jobs_available_by_key") && shown.contains("jobs_available "), "{shown}");
        assert!(!shown.contains("Seq Scan on jobs") && read <= 15, "{read} rows\n{shown}");
    }
}
