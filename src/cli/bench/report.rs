//! What `callboard bench jobs` prints. The names are stable.

use serde::Serialize;

use super::{machine::Machine, statistics::Percentiles};

#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    /// Whether the program was built with optimisations; figures of one that was not mean nothing.
    pub(super) optimised: bool,
    pub(super) machine: Machine,
    /// `sqlite` or `postgres`.
    pub(super) store: &'static str,
    /// `full`: what is answered as stored survives a power cut. `relaxed`: it survives the death of the program.
    pub(super) durability: &'static str,
    /// Many jobs a request, while none is run.
    pub(super) bulk_enqueue: Enqueue,
    /// From the first free place of the queue to the last completion.
    pub(super) drain: Drain,
    /// From sending the submission of one job to the first line of its run, on an idle server.
    pub(super) start_latency: StartLatency,
    /// One job a request, while none is run; for each number of connections.
    pub(super) post_jobs: Vec<Post>,
    /// One job a request, while they are run at the same time; with the largest number of connections.
    pub(super) post_jobs_while_draining: Post,
    /// Jobs come in all the time while they are run.
    pub(super) continuous: Continuous,
    pub(super) memory: Memory,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Enqueue {
    pub(super) jobs: usize,
    pub(super) jobs_per_request: usize,
    pub(super) connections: usize,
    pub(super) seconds: f64,
    pub(super) jobs_per_second: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Drain {
    pub(super) jobs: usize,
    pub(super) concurrency: usize,
    pub(super) seconds: f64,
    pub(super) jobs_per_second: f64,
    /// Events that the log got meanwhile.
    pub(super) events: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct StartLatency {
    pub(super) jobs: usize,
    #[serde(flatten)]
    pub(super) times: Percentiles,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Post {
    pub(super) jobs: usize,
    pub(super) connections: usize,
    pub(super) seconds: f64,
    pub(super) jobs_per_second: f64,
    /// Of one request, from its sending to its answer.
    #[serde(flatten)]
    pub(super) times: Percentiles,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Continuous {
    /// That were counted: the last two thirds.
    pub(super) seconds: f64,
    /// Submitted, run and completed.
    pub(super) jobs_per_second: f64,
    /// Jobs that were submitted and not completed, at most.
    pub(super) most_ahead: u64,
    /// Resident bytes of the server, at most.
    pub(super) most_bytes: u64,
}

/// Resident bytes of the server.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Memory {
    pub(super) idle_bytes: u64,
    pub(super) waiting_jobs: usize,
    pub(super) waiting_bytes: u64,
}
