//! What is measured. Each scenario yields its figures, in the units that the catalogue names.

pub(crate) mod crashes;
pub(crate) mod fairness;
pub(crate) mod latency;
pub(crate) mod lives;
pub(crate) mod memory;
pub(crate) mod messages;
pub(crate) mod overflow;
pub(crate) mod sampling;
pub(crate) mod shutdown;
pub(crate) mod tracing;

use std::time::{Duration, Instant};

/// The bound of mailboxes that have one.
const CAPACITY: usize = 1024;

/// Nanoseconds for each step.
fn each(began: Instant, steps: u64) -> f64 {
    nanoseconds(began.elapsed()) / steps as f64
}

fn nanoseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e9
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The time that so much of all times does not exceed; `part` is from 0 to 1.
fn quantile(sorted: &[Duration], part: f64) -> Duration {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last as f64 * part).round() as usize).copied().unwrap_or_default()
}
