//! What is measured of each system.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The figures of one turn; jobs a second, and microseconds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Figures {
    /// One job a call, by one client.
    pub(crate) enqueue_1: Option<f64>,
    /// By 16 clients.
    pub(crate) enqueue_16: Option<f64>,
    /// By 64 clients.
    pub(crate) enqueue_64: Option<f64>,
    /// A thousand jobs a call, by 4 clients.
    pub(crate) bulk_enqueue: Option<f64>,
    /// From the start of the worker until the last job is done and written down.
    pub(crate) drain: Option<f64>,
    /// From before one job is enqueued until it runs.
    pub(crate) start_p50_us: Option<f64>,
    pub(crate) start_p99_us: Option<f64>,
}

/// A figure as the table shows it.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// Whether more is better.
    pub(crate) rate: bool,
    pub(crate) of: fn(&Figures) -> Option<f64>,
}

const fn rate(name: &'static str, of: fn(&Figures) -> Option<f64>) -> Column {
    Column { name, unit: "jobs/s", rate: true, of }
}

/// In the order of the table.
pub(crate) const COLUMNS: [Column; 7] = [
    rate("enqueue, 1 client", |figures| figures.enqueue_1),
    rate("enqueue, 16 clients", |figures| figures.enqueue_16),
    rate("enqueue, 64 clients", |figures| figures.enqueue_64),
    rate("bulk enqueue", |figures| figures.bulk_enqueue),
    rate("drain", |figures| figures.drain),
    Column { name: "start of one job: p50", unit: "us", rate: false, of: |figures| figures.start_p50_us },
    Column { name: "start of one job: p99", unit: "us", rate: false, of: |figures| figures.start_p99_us },
];

impl Figures {
    /// The figure for the place of a number of clients: 1, 16, 64.
    pub(crate) fn enqueue_mut(&mut self, place: usize) -> &mut Option<f64> {
        match place {
            0 => &mut self.enqueue_1,
            1 => &mut self.enqueue_16,
            _ => &mut self.enqueue_64,
        }
    }
}

pub(crate) fn per_second(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

/// In microseconds, the time that so much of all times does not exceed; `part` is from 0 to 1.
pub(crate) fn quantile(sorted: &[Duration], part: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let time = sorted.get((last as f64 * part).round() as usize).copied().unwrap_or_default();
    time.as_secs_f64() * 1e6
}
