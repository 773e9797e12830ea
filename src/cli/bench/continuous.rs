//! Jobs that come in all the time while they are run.

use std::{
    fmt::Write,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{
    super::output::Failure,
    http::{Connection, broken},
    report::Continuous,
    server::Server,
    statistics::{per_second, round},
};

/// Jobs of one request.
const BATCH: u64 = 500;
/// Connections that submit.
const CONNECTIONS: usize = 4;
/// Jobs that wait or run at most: enough that there is always one to claim.
const AHEAD: u64 = 10_000;
/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Flow {
    submitted: AtomicU64,
    completed: AtomicU64,
    over: AtomicBool,
}

/// Submits jobs for so long, never more than so many ahead of what is done, and counts what is done meanwhile.
pub(super) async fn measure(server: &Server, lasting: Duration) -> Result<Continuous, Failure> {
    let flow = Arc::<Flow>::default();
    let mut senders = JoinSet::new();
    for _ in 0..CONNECTIONS {
        senders.spawn(send(server.address, flow.clone()));
    }
    let began = Instant::now();
    let (mut most_ahead, mut most_bytes) = (0, 0);
    // A third of the time passes before anything counts: by then the server is at its pace.
    let mut counted: Option<(Instant, u64)> = None;
    while began.elapsed() < lasting && senders.len() == CONNECTIONS {
        tokio::time::sleep(LOOK).await;
        let completed = server.client.stats().await?.completed_jobs;
        flow.completed.store(completed, Relaxed);
        most_ahead = most_ahead.max(flow.submitted.load(Relaxed).saturating_sub(completed));
        most_bytes = most_bytes.max(server.memory());
        if counted.is_none() && began.elapsed() > lasting / 3 {
            counted = Some((Instant::now(), completed));
        }
        // A sender that has ended, ended with a failure.
        if let Some(ended) = senders.try_join_next() {
            ended.map_err(|error| Failure::failed(error.to_string()))??;
        }
    }
    let (since, before) = counted.unwrap_or((began, 0));
    let (time, completed) = (since.elapsed(), flow.completed.load(Relaxed) - before);
    flow.over.store(true, Relaxed);
    while let Some(ended) = senders.join_next().await {
        ended.map_err(|error| Failure::failed(error.to_string()))??;
    }
    Ok(Continuous {
        seconds: round(time.as_secs_f64()),
        jobs_per_second: per_second(usize::try_from(completed).unwrap_or(usize::MAX), time),
        most_ahead,
        most_bytes,
    })
}

async fn send(server: SocketAddr, flow: Arc<Flow>) -> Result<(), Failure> {
    let mut connection = Connection::open(server).await.map_err(broken)?;
    while !flow.over.load(Relaxed) {
        if flow.submitted.load(Relaxed).saturating_sub(flow.completed.load(Relaxed)) >= AHEAD {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        flow.submitted.fetch_add(BATCH, Relaxed);
        let mut lines = String::new();
        for _ in 0..BATCH {
            let _ = writeln!(lines, "{}", json!({ "id": Uuid::now_v7(), "type": "noop" }));
        }
        let answer = connection.post("/api/v1/jobs/batch", "application/x-ndjson", lines.as_bytes()).await;
        let (status, body) = answer.map_err(broken)?;
        let accepted: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        if accepted.is_none_or(|answer| answer["accepted"] != BATCH) {
            let body: String = String::from_utf8_lossy(body).chars().take(500).collect();
            return Err(Failure::failed(format!("the server answered {status}: {body}")));
        }
    }
    Ok(())
}
