//! The systems that take part, and how each has its turn: in a process of its own, on a database of its own.

use std::{path::Path, process::Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sqlx::{Connection, Executor, PgConnection};
use tokio::process::Command;

use crate::{Compare, apalis::Amounts, figures::Figures};

/// Where the peers that are written for Node are.
const NODE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");
/// The largest output of a turn that is read.
const MAX_OUTPUT: usize = 1 << 20;

/// What a turn works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Sqlite,
    Postgres,
    Redis,
}

/// A system that is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) server: Server,
    /// What survives of what was answered.
    pub(crate) durability: &'static str,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    Callboard,
    Apalis,
    Node(&'static str),
}

const SYNCED: &str = "power cut (synchronous_commit=on)";

/// In the order of the table.
pub(crate) const CONTENDERS: [Contender; 6] = [
    Contender {
        name: "callboard, PostgreSQL",
        server: Server::Postgres,
        durability: SYNCED,
        how: How::Callboard,
    },
    Contender {
        name: "graphile-worker 0.17.3, PostgreSQL",
        server: Server::Postgres,
        durability: SYNCED,
        how: How::Node("graphile.mjs"),
    },
    Contender {
        name: "apalis 1.0, PostgreSQL",
        server: Server::Postgres,
        durability: SYNCED,
        how: How::Apalis,
    },
    Contender {
        name: "callboard, SQLite",
        server: Server::Sqlite,
        durability: "power cut (synchronous=FULL)",
        how: How::Callboard,
    },
    Contender {
        name: "apalis 1.0, SQLite",
        server: Server::Sqlite,
        durability: "power cut (synchronous=FULL)",
        how: How::Apalis,
    },
    Contender {
        name: "BullMQ 6.7.0, Redis",
        server: Server::Redis,
        durability: "as Redis is set to save",
        how: How::Node("bullmq.mjs"),
    },
];

impl Contender {
    /// Whether this is ours, and what that one is compared with.
    pub(crate) fn is_ours_beside(&self, other: &Contender) -> bool {
        let server = if other.server == Server::Redis { Server::Postgres } else { other.server };
        matches!(self.how, How::Callboard) && !matches!(other.how, How::Callboard) && self.server == server
    }

    /// One turn.
    pub(crate) async fn run(&self, compare: &Compare) -> Result<Figures> {
        match self.server {
            Server::Postgres => {
                let database = Database::create(&compare.postgres).await?;
                let figures = self.turn(compare, &database.url).await;
                database.remove().await?;
                figures
            }
            Server::Sqlite => {
                let folder = tempfile::tempdir_in(&compare.place)?;
                self.turn(compare, &folder.path().to_string_lossy()).await
            }
            Server::Redis => self.turn(compare, &compare.redis).await,
        }
        .with_context(|| self.name)
    }

    async fn turn(&self, compare: &Compare, place: &str) -> Result<Figures> {
        let amounts = &compare.amounts;
        match self.how {
            How::Callboard => callboard(&compare.callboard, self.server, place, amounts).await,
            How::Apalis => {
                let turn = if self.server == Server::Postgres { "apalis-postgres" } else { "apalis-sqlite" };
                let mut command = Command::new(std::env::current_exe()?);
                command.args([turn, place]);
                let output = output(scaled(&mut command, amounts)).await?;
                Ok(serde_json::from_slice(&output)?)
            }
            How::Node(script) => {
                let mut command = Command::new("node");
                command.current_dir(NODE).args([script, "--url", place]);
                let output = output(scaled(&mut command, amounts)).await?;
                Ok(serde_json::from_slice(&output)?)
            }
        }
    }
}

fn scaled<'c>(command: &'c mut Command, amounts: &Amounts) -> &'c mut Command {
    for (name, amount) in [
        ("--jobs", amounts.jobs),
        ("--singles", amounts.singles),
        ("--latency-jobs", amounts.latency_jobs),
        ("--concurrency", amounts.concurrency),
    ] {
        command.arg(name).arg(amount.to_string());
    }
    command
}

/// The last line that the program writes.
async fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true).output().await?;
    if !output.status.success() || output.stdout.len() > MAX_OUTPUT {
        bail!("it ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(output.stdout)
}

/// Of the report of `callboard bench jobs`, what is compared.
#[derive(Debug, Deserialize)]
struct Report {
    bulk_enqueue: Rate,
    drain: Rate,
    start_latency: Latency,
    post_jobs: Vec<Rate>,
}

#[derive(Debug, Deserialize)]
struct Rate {
    jobs_per_second: f64,
}

#[derive(Debug, Deserialize)]
struct Latency {
    p50_ms: f64,
    p99_ms: f64,
}

async fn callboard(program: &Path, server: Server, place: &str, amounts: &Amounts) -> Result<Figures> {
    let mut command = Command::new(program);
    command.args(["bench", "jobs", "--connections", "1,16,64"]);
    match server {
        Server::Postgres => command.env("CALLBOARD_BENCH_POSTGRES", place),
        _ => command.args(["--place", place]),
    };
    for (name, amount) in [
        ("--jobs", amounts.jobs),
        ("--post-jobs", amounts.singles),
        ("--latency-jobs", amounts.latency_jobs),
        ("--concurrency", amounts.concurrency),
    ] {
        command.arg(name).arg(amount.to_string());
    }
    let report: Report = serde_json::from_slice(&output(&mut command).await?)?;
    let mut figures = Figures {
        bulk_enqueue: Some(report.bulk_enqueue.jobs_per_second),
        drain: Some(report.drain.jobs_per_second),
        start_p50_us: Some(report.start_latency.p50_ms * 1e3),
        start_p99_us: Some(report.start_latency.p99_ms * 1e3),
        ..Figures::default()
    };
    for (place, post) in report.post_jobs.iter().enumerate() {
        *figures.enqueue_mut(place) = Some(post.jobs_per_second);
    }
    Ok(figures)
}

/// A database of one turn.
struct Database {
    server: String,
    name: String,
    url: String,
}

impl Database {
    async fn create(server: &str) -> Result<Self> {
        let name = format!("callboard_bench_{}", std::process::id());
        let (path, query) = server.split_once('?').unwrap_or((server, ""));
        let (start, _) = path.rsplit_once('/').context("the URL of PostgreSQL names no database")?;
        let url = format!("{start}/{name}?{query}");
        let database = Database { server: server.to_owned(), name, url };
        database.execute("DROP DATABASE IF EXISTS").await?;
        database.execute("CREATE DATABASE").await?;
        Ok(database)
    }

    async fn remove(self) -> Result<()> {
        self.execute("DROP DATABASE IF EXISTS").await
    }

    async fn execute(&self, what: &str) -> Result<()> {
        let force = if what.starts_with("DROP") { " WITH (FORCE)" } else { "" };
        let mut connection = PgConnection::connect(&self.server).await?;
        // The name is ours, made of letters and a number.
        let statement = sqlx::AssertSqlSafe(format!("{what} {}{force}", self.name));
        connection.execute(sqlx::raw_sql(statement)).await?;
        Ok(connection.close().await?)
    }
}
