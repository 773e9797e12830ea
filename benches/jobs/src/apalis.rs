//! apalis, on PostgreSQL and on SQLite, as its own examples set it up: large batches, and notifications where it has them.

use std::{
    path::Path,
    str::FromStr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use apalis::prelude::*;
use apalis_postgres::PostgresStorage;
use apalis_sqlite::SqliteStorage;
use sqlx::{
    PgPool, SqlitePool,
    postgres::PgPoolOptions,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
};

use crate::figures::{Figures, per_second, quantile};

/// Jobs of one call of the bulk part.
const BATCH: usize = 1000;
/// Calls of the bulk part that are under way at a time.
const BULK_CALLS: usize = 4;
/// Submitters of the part that enqueues one by one.
const CLIENTS: [usize; 3] = [1, 16, 64];
/// Jobs that a worker fetches at a time.
const FETCH: usize = 500;
/// Jobs that are started before latencies count.
const WARM_UP: usize = 50;
/// How long a drain may take.
const PATIENCE: Duration = Duration::from_secs(600);
const QUEUE: &str = "callboard-bench";

/// How much of everything.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Amounts {
    /// Jobs that are enqueued in bulk and drained.
    #[arg(long, default_value_t = 100_000)]
    pub(crate) jobs: usize,
    /// Jobs that are enqueued one by one, for each number of clients.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) singles: usize,
    /// Jobs that are started one at a time.
    #[arg(long, default_value_t = 1000)]
    pub(crate) latency_jobs: usize,
    /// Jobs that run at a time.
    #[arg(long, default_value_t = 50)]
    pub(crate) concurrency: usize,
}

/// What the jobs of a run tell.
struct Seen {
    left: AtomicUsize,
    none_left: Notify,
    started: mpsc::UnboundedSender<Instant>,
}

impl Seen {
    fn job(&self) {
        // Nobody listens while jobs are drained.
        let _ = self.started.send(Instant::now());
        if self.left.fetch_sub(1, SeqCst) == 1 {
            self.none_left.notify_one();
        }
    }
}

async fn noop(_: u32, seen: Data<Arc<Seen>>) -> Result<(), BoxDynError> {
    seen.job();
    Ok(())
}

macro_rules! measure {
    ($amounts:expr, $storage:expr, $worker:expr, $clear:expr, $unfinished:expr) => {{
        let (amounts, storage): (Amounts, _) = ($amounts, $storage);
        let mut figures = Figures::default();
        for (place, clients) in CLIENTS.into_iter().enumerate() {
            let began = Instant::now();
            let mut all = JoinSet::new();
            for client in 0..clients {
                let mut storage = storage.clone();
                let share = amounts.singles / clients + usize::from(client < amounts.singles % clients);
                all.spawn(async move {
                    for _ in 0..share {
                        storage.push(0).await?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(done) = all.join_next().await {
                done??;
            }
            *figures.enqueue_mut(place) = Some(per_second(amounts.singles, began));
            $clear.await?;
        }

        let began = Instant::now();
        let mut all = JoinSet::new();
        for call in 0..BULK_CALLS {
            let mut storage = storage.clone();
            all.spawn(async move {
                for first in (call * BATCH..amounts.jobs).step_by(BULK_CALLS * BATCH) {
                    storage.push_bulk(vec![0; BATCH.min(amounts.jobs - first)]).await?;
                }
                anyhow::Ok(())
            });
        }
        while let Some(done) = all.join_next().await {
            done??;
        }
        figures.bulk_enqueue = Some(per_second(amounts.jobs, began));

        let (started, mut starts) = mpsc::unbounded_channel();
        let none_left = Notify::new();
        let seen = Arc::new(Seen { left: AtomicUsize::new(amounts.jobs), none_left, started });
        let began = Instant::now();
        let worker = $worker(seen.clone());
        let drained = async {
            tokio::time::timeout(PATIENCE, seen.none_left.notified())
                .await
                .context("the drain stands still")?;
            while $unfinished.await? > 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            figures.drain = Some(per_second(amounts.jobs, began));
            while starts.try_recv().is_ok() {}
            let mut times = Vec::with_capacity(amounts.latency_jobs);
            let mut storage = storage.clone();
            for number in 0..WARM_UP + amounts.latency_jobs {
                seen.left.fetch_add(1, SeqCst);
                let sent = Instant::now();
                storage.push(0).await?;
                let begun = starts.recv().await.context("no job starts any more")?;
                if number >= WARM_UP {
                    times.push(begun.saturating_duration_since(sent));
                }
            }
            times.sort_unstable();
            figures.start_p50_us = Some(quantile(&times, 0.5));
            figures.start_p99_us = Some(quantile(&times, 0.99));
            anyhow::Ok(())
        };
        tokio::select! {
            ended = worker => bail!("the worker ended: {ended:?}"),
            done = drained => done?,
        }
        Ok(figures)
    }};
}

/// On PostgreSQL: durable as the server is set.
pub(crate) async fn postgres(url: &str, amounts: Amounts) -> Result<Figures> {
    let pool: PgPool = PgPoolOptions::new().max_connections(70).connect(url).await?;
    PostgresStorage::setup(&pool).await?;
    let config = apalis_postgres::Config::default().queue(QUEUE).batch_size(FETCH);
    let storage: PostgresStorage<u32> = PostgresStorage::new(&pool).with_config(config);
    let worker = |seen: Arc<Seen>| {
        let storage = storage.clone().with_pubsub();
        let builder =
            WorkerBuilder::new("bench").backend(storage).data(seen).concurrency(amounts.concurrency);
        builder.parallelize(tokio::spawn).build(noop).run()
    };
    let unfinished = || {
        sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM apalis.jobs WHERE status NOT IN ('Done', 'Failed', 'Killed')",
        )
        .fetch_one(&pool)
    };
    measure!(
        amounts,
        storage.clone(),
        worker,
        sqlx::query("DELETE FROM apalis.jobs").execute(&pool),
        unfinished()
    )
}

/// On a SQLite file that survives a power cut.
pub(crate) async fn sqlite(folder: &Path, amounts: Amounts) -> Result<Figures> {
    let url = format!("sqlite://{}", folder.join("apalis.db").display());
    let options = SqliteConnectOptions::from_str(&url)?
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(Duration::from_secs(30));
    let pool: SqlitePool = SqlitePoolOptions::new().max_connections(8).connect_with(options).await?;
    SqliteStorage::setup(&pool).await?;
    let config = apalis_sqlite::Config::default().queue(QUEUE).batch_size(FETCH);
    let storage: SqliteStorage<u32> = SqliteStorage::new(&pool).with_config(config);
    let worker = |seen: Arc<Seen>| {
        let storage = storage.clone().poll_with_interval(Duration::from_millis(10));
        let builder =
            WorkerBuilder::new("bench").backend(storage).data(seen).concurrency(amounts.concurrency);
        builder.parallelize(tokio::spawn).build(noop).run()
    };
    let unfinished = || {
        sqlx::query_scalar::<_, i64>(
            "SELECT count(*) FROM Jobs WHERE status NOT IN ('Done', 'Failed', 'Killed')",
        )
        .fetch_one(&pool)
    };
    measure!(amounts, storage.clone(), worker, sqlx::query("DELETE FROM Jobs").execute(&pool), unfinished())
}
