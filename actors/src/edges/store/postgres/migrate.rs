//! Bringing the schema to the newest version.

use sqlx::{Connection, Executor, PgConnection};

use super::{PostgresOptions, connect::ensure_schema, error::translate};
use crate::edges::store::StoreError;

/// Each migration brings the schema from the version of its place to the next.
const MIGRATIONS: [&str; 13] = [
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_trace_context.sql"),
    include_str!("migrations/0003_needs.sql"),
    include_str!("migrations/0004_keys.sql"),
    include_str!("migrations/0005_progress.sql"),
    include_str!("migrations/0006_outside.sql"),
    include_str!("migrations/0007_fleet.sql"),
    include_str!("migrations/0008_unique.sql"),
    include_str!("migrations/0009_workflows.sql"),
    include_str!("migrations/0010_cron.sql"),
    include_str!("migrations/0011_dead_jobs.sql"),
    include_str!("migrations/0012_queue_pause.sql"),
    include_str!("migrations/0013_signals.sql"),
];

/// `CALL` in ASCII; with the hash of the schema's name, the advisory lock under which one process at a time migrates.
const LOCK: i32 = 0x4341_4c4c;

/// Migrates in one transaction: either all of it is there afterwards, or nothing has changed. Processes that start
/// together wait for one another.
pub(super) async fn migrate(
    connection: &mut PgConnection,
    options: &PostgresOptions,
) -> Result<(), StoreError> {
    let known = known_version();
    let mut transaction = connection.begin().await.map_err(translate)?;
    let locked =
        sqlx::query("SELECT pg_advisory_xact_lock($1, hashtext($2))").bind(LOCK).bind(&options.schema);
    locked.execute(&mut *transaction).await.map_err(translate)?;
    ensure_schema(&mut transaction, &options.schema).await.map_err(translate)?;
    let found = version(&mut transaction).await.map_err(translate)?;
    if found > known {
        return Err(StoreError::TooNew { found, known });
    }
    for (migration, version) in MIGRATIONS.iter().zip(1..).skip(found as usize) {
        transaction.execute(sqlx::raw_sql(*migration)).await.map_err(translate)?;
        let write = sqlx::query("UPDATE schema_version SET version = $1").bind(version);
        write.execute(&mut *transaction).await.map_err(translate)?;
    }
    transaction.commit().await.map_err(translate)
}

/// The version of the tables that this program works on.
pub(super) fn known_version() -> u32 {
    u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX)
}

/// The version of the tables in the schema, 0 if there are none. Changes nothing.
pub(super) async fn found_version(connection: &mut PgConnection, schema: &str) -> Result<u32, sqlx::Error> {
    let known: bool =
        sqlx::query_scalar("SELECT to_regclass(format('%I.schema_version', $1::text)) IS NOT NULL")
            .bind(schema)
            .fetch_one(&mut *connection)
            .await?;
    if !known {
        return Ok(0);
    }
    let version: i32 = sqlx::query_scalar("SELECT version FROM schema_version").fetch_one(connection).await?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}

async fn version(connection: &mut PgConnection) -> Result<u32, sqlx::Error> {
    let make = "CREATE TABLE IF NOT EXISTS schema_version (version integer NOT NULL);
                INSERT INTO schema_version SELECT 0 WHERE NOT EXISTS (SELECT FROM schema_version)";
    connection.execute(sqlx::raw_sql(make)).await?;
    let version: i32 = sqlx::query_scalar("SELECT version FROM schema_version").fetch_one(connection).await?;
    Ok(u32::try_from(version).unwrap_or(u32::MAX))
}
