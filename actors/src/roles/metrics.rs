//! The numbers that Prometheus reads.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use callboard_contracts::{EventType, JobState};
use prometheus::{
    Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::edges::store::record::{LoggedEvent, QueueTotals};

/// The label of job types that this node does not know: what a caller makes up must not make a time series.
const OTHER: &str = "other";

/// The numbers of one node since its start. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Numbers>);

struct Numbers {
    registry: Registry,
    job_types: BTreeSet<String>,
    submitted: IntCounterVec,
    accepted: IntCounter,
    processed: IntCounter,
    completed: IntCounter,
    failed: IntCounter,
    validation_failed: IntCounter,
    processing_seconds: Histogram,
    attempts_failed: IntCounterVec,
    stale_writes: IntCounter,
    rescued: IntCounter,
    actor_restarts: IntCounter,
    actor_crashes: IntCounter,
    queue_jobs: IntGaugeVec,
}

impl Metrics {
    /// All at zero. `job_types` are those that have a label of their own.
    pub(crate) fn new(job_types: impl IntoIterator<Item = String>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counters = |name: &str, help: &str, label: &str| -> Result<IntCounterVec, prometheus::Error> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        // From a tenth of a millisecond to an hour, three steps a decade.
        let buckets = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0].iter();
        let buckets =
            buckets.flat_map(|&first| [first, 2.5 * first, 5.0 * first]).chain([1000.0, 3600.0]).collect();
        let processing =
            HistogramOpts::new("processor_job_processing_seconds", "How long runs of jobs took.");
        let processing_seconds = Histogram::with_opts(processing.buckets(buckets))?;
        registry.register(Box::new(processing_seconds.clone()))?;
        let queue_jobs = Opts::new("callboard_queue_jobs", "Unfinished jobs, by queue and state.");
        let queue_jobs = IntGaugeVec::new(queue_jobs, &["queue", "state"])?;
        registry.register(Box::new(queue_jobs.clone()))?;
        Ok(Metrics(Arc::new(Numbers {
            submitted: counters("gateway_jobs_submitted_total", "Jobs that came in, by type.", "type")?,
            accepted: counter("gateway_jobs_accepted_total", "Jobs that were stored.")?,
            processed: counter("processor_jobs_processed_total", "Jobs that were finished, however.")?,
            completed: counter("processor_jobs_completed_total", "Jobs that were completed.")?,
            failed: counter("processor_jobs_failed_total", "Jobs that failed for good or were cancelled.")?,
            validation_failed: counter(
                "processor_jobs_validation_failed_total",
                "Jobs whose payload did not fit their type when they were to run.",
            )?,
            attempts_failed: counters(
                "callboard_attempts_failed_total",
                "Attempts that failed, by type.",
                "type",
            )?,
            stale_writes: counter(
                "callboard_stale_writes_total",
                "Words about attempts that were refused because their lease had ended.",
            )?,
            rescued: counter("callboard_attempts_rescued_total", "Attempts of dead nodes that were ended.")?,
            actor_restarts: counter("callboard_actor_restarts_total", "Restarts of this node's roles.")?,
            actor_crashes: counter("callboard_actor_crashes_total", "Crashes of this node's roles.")?,
            processing_seconds,
            queue_jobs,
            job_types: job_types.into_iter().collect(),
            registry,
        })))
    }

    /// All of them, in Prometheus's text format.
    pub fn render(&self) -> String {
        let families = self.0.registry.gather();
        TextEncoder::new().encode_to_string(&families).unwrap_or_else(|error| {
            tracing::error!(%error, "the metrics cannot be written");
            String::new()
        })
    }

    /// Where an embedding program may register numbers of its own; they are [rendered](Self::render) with the others.
    pub fn registry(&self) -> &Registry {
        &self.0.registry
    }

    fn label<'a>(&self, job_type: &'a str) -> &'a str {
        if self.0.job_types.contains(job_type) { job_type } else { OTHER }
    }

    pub(crate) fn submitted(&self, job_type: &str) {
        self.0.submitted.with_label_values(&[self.label(job_type)]).inc();
    }

    pub(crate) fn accepted(&self) {
        self.0.accepted.inc();
    }

    pub(crate) fn stale_write(&self) {
        self.0.stale_writes.inc();
    }

    pub(crate) fn rescued(&self, attempts: u64) {
        self.0.rescued.inc_by(attempts);
    }

    pub(crate) fn actor_ended(&self, crashed: bool, restarting: bool) {
        self.0.actor_crashes.inc_by(crashed.into());
        self.0.actor_restarts.inc_by(restarting.into());
    }

    /// Counts what the log says.
    pub(crate) fn event(&self, logged: &LoggedEvent) {
        let numbers = &*self.0;
        let failed = || {
            numbers.attempts_failed.with_label_values(&[self.label(&logged.job_type)]).inc();
            let kind = logged.event.payload.get("error").and_then(|error| error.get("kind"));
            if kind.is_some_and(|kind| kind == "invalid_payload") {
                numbers.validation_failed.inc();
            }
        };
        let took = || {
            let took: Option<Duration> = logged.duration;
            took.into_iter().for_each(|took| numbers.processing_seconds.observe(took.as_secs_f64()));
        };
        match logged.event.event_type {
            EventType::Completed => {
                numbers.processed.inc();
                numbers.completed.inc();
                took();
            }
            EventType::Failed => {
                numbers.processed.inc();
                numbers.failed.inc();
                // Of a job that was cancelled before it ran there was no attempt.
                if logged.duration.is_some() {
                    failed();
                }
                took();
            }
            EventType::AttemptFailed => {
                failed();
                took();
            }
            _ => {}
        }
    }

    /// Sets what a queue holds now.
    pub(crate) fn queue(&self, queue: &str, totals: &QueueTotals) {
        for state in JobState::ALL.into_iter().filter(|state| !state.is_final()) {
            let count = i64::try_from(totals.count(state)).unwrap_or(i64::MAX);
            self.0.queue_jobs.with_label_values(&[queue, state.as_str()]).set(count);
        }
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_contracts_and_types_that_nobody_knows_share_a_label() {
        let metrics = Metrics::new(["noop".to_owned()]).unwrap();
        metrics.submitted("noop");
        for made_up in ["x", "y", "z"] {
            metrics.submitted(made_up);
        }
        metrics.accepted();
        let text = metrics.render();
        for line in [
            "gateway_jobs_submitted_total{type=\"noop\"} 1",
            "gateway_jobs_submitted_total{type=\"other\"} 3",
            "gateway_jobs_accepted_total 1",
            "processor_jobs_processed_total 0",
            "processor_jobs_completed_total 0",
            "processor_jobs_failed_total 0",
            "processor_jobs_validation_failed_total 0",
            "processor_job_processing_seconds_count 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("\"x\""));
    }
}
