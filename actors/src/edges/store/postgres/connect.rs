//! Connections: how each is set up.

use std::{str::FromStr, time::Duration};

use secrecy::ExposeSecret;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use super::{PostgresOptions, error::translate};
use crate::edges::store::{Durability, StoreError};

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 200;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// It writes batches.
    Write,
    /// It reads.
    Read,
    /// It renews, places events, and carries notifications.
    Control,
}

/// How to connect. Nothing of the URL is told in errors, since it may hold a password.
pub(super) fn options(options: &PostgresOptions, purpose: Purpose) -> Result<PgConnectOptions, StoreError> {
    let parsed = PgConnectOptions::from_str(options.url.expose_secret());
    let parsed = parsed.map_err(|error| {
        StoreError::Failed(format!(
            "the URL of the database (postgres://user@host:port/name) is not one: {error}"
        ))
    })?;
    let millis = |time: Duration| time.as_millis().to_string();
    let synchronous = match options.durability {
        Durability::Full => "on",
        Durability::Relaxed => "off",
    };
    let mut settings = vec![
        ("search_path", options.schema.clone()),
        ("statement_timeout", millis(options.statement_timeout)),
        ("lock_timeout", millis(options.lock_timeout)),
        ("idle_in_transaction_session_timeout", millis(options.statement_timeout)),
        ("synchronous_commit", synchronous.to_owned()),
        ("jit", "off".to_owned()),
    ];
    if purpose != Purpose::Control {
        // Each statement looks rows up by an index, whatever the statistics of a new table say: a plan that was made when
        // the table was small is kept.
        let never = ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"];
        settings.extend(never.map(|way| (way, "off".to_owned())));
    }
    Ok(parsed
        .application_name(&format!("callboard {}", options.node))
        .options(settings)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging())
}

/// A connection of its own.
pub(super) async fn connect(given: &PostgresOptions, purpose: Purpose) -> Result<PgConnection, StoreError> {
    let options = options(given, purpose)?;
    match timeout(given.connect_timeout, PgConnection::connect_with(&options)).await {
        Ok(connected) => connected.map_err(translate),
        Err(_) => Err(StoreError::NotReady(format!(
            "the database does not answer within {:?}",
            given.connect_timeout
        ))),
    }
}

/// Connections that read.
pub(super) fn readers(given: &PostgresOptions) -> Result<PgPool, StoreError> {
    let pool = PgPoolOptions::new()
        .max_connections(given.readers)
        .acquire_timeout(given.statement_timeout)
        .idle_timeout(Duration::from_secs(600));
    Ok(pool.connect_lazy_with(options(given, Purpose::Read)?))
}

/// The schema of ours, made if it is missing.
pub(super) async fn ensure_schema(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    let known: bool = sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)")
        .bind(schema)
        .fetch_one(&mut *connection)
        .await?;
    if !known {
        // The name was checked to be a plain identifier.
        let create = AssertSqlSafe(format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""));
        connection.execute(sqlx::raw_sql(create)).await?;
    }
    Ok(())
}

/// The one connection that listens.
pub(super) fn listener(given: &PostgresOptions) -> Result<PgPool, StoreError> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(given.connect_timeout);
    Ok(pool.connect_lazy_with(options(given, Purpose::Control)?))
}

/// Drops the schema with all that is in it.
pub(super) async fn drop_schema(connection: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    // The name was checked to be a plain identifier.
    let drop = AssertSqlSafe(format!("DROP SCHEMA IF EXISTS \"{schema}\" CASCADE"));
    connection.execute(sqlx::raw_sql(drop)).await.map(|_| ())
}
