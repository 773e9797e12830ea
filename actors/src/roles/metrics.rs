//! The numbers that Prometheus reads.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{BulkAction, BulkOutcome, ErrorKind, LogCursor, PauseCause},
};
use parking_lot::Mutex;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder, core::Collector,
};

use crate::edges::{
    breaker::EdgeNumbers,
    bus::BusNumbers,
    store::{
        StoreHandle,
        numbers::seconds,
        record::{AttemptEnd, EdgeRecord, EventCount, QueueTotals},
    },
    telemetry::TelemetryNumbers,
};

/// The label of job types and queues that this node does not know: what a caller makes up must not make a time series.
const OTHER: &str = "other";

/// The numbers of one node since its start. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Metrics(Arc<Numbers>);

/// What happens at the web terminal and is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalEvent {
    /// A session was opened.
    Opened {
        /// The protocol of its client.
        protocol: &'static str,
    },
    /// A session ended.
    Ended {
        /// Why.
        reason: &'static str,
    },
    /// A client was refused.
    Refused {
        /// What it was told.
        code: &'static str,
    },
}

/// What a family of numbers is, as `docs/metrics.md` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricFamily {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// Its labels.
    pub labels: Vec<String>,
    /// Whether it says the same on every node of a fleet, so that adding it up over nodes counts things twice.
    pub of_fleet: bool,
    /// What it says.
    pub help: String,
}

struct Numbers {
    registry: Registry,
    families: Vec<MetricFamily>,
    job_types: BTreeSet<String>,
    queues: BTreeSet<String>,
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
    queue_oldest: IntGaugeVec,
    queue_paused: IntGaugeVec,
    queue_concurrency: IntGaugeVec,
    queue_claimed: IntGaugeVec,
    queue_running: IntGaugeVec,
    start_latency: HistogramVec,
    finished: IntCounterVec,
    quarantined: IntCounterVec,
    signalled: IntCounterVec,
    requests_refused: IntCounter,
    terminals: IntGauge,
    terminals_opened: IntCounterVec,
    terminals_ended: IntCounterVec,
    terminals_refused: IntCounterVec,
    started: IntCounterVec,
    ended: IntCounterVec,
    run_seconds: HistogramVec,
    claim_seconds: HistogramVec,
    log_lines: IntCounterVec,
    log_lines_dropped: IntCounterVec,
    sessions_opened: IntCounter,
    sessions_lost: IntCounter,
    /// Those that have labels now.
    edges: Mutex<BTreeSet<String>>,
    edge_tripped: IntGaugeVec,
    edge_parked: IntGaugeVec,
    leads: IntGauge,
    log_position: IntGauge,
    sink_behind: IntGaugeVec,
    sink_events: IntCounterVec,
    inbound: IntCounterVec,
    outlet: IntCounterVec,
    lapsed: IntCounterVec,
    cron: IntCounterVec,
    cron_lateness: Histogram,
    key_missing: IntCounterVec,
    bulk: IntCounterVec,
}

/// Registers families, and keeps what they are.
struct Families {
    registry: Registry,
    known: Vec<MetricFamily>,
    of_fleet: bool,
}

impl Families {
    fn add<C: Collector + Clone + 'static>(
        &mut self,
        kind: &'static str,
        family: C,
    ) -> Result<C, prometheus::Error> {
        for described in family.desc() {
            self.known.push(MetricFamily {
                name: described.fq_name.clone(),
                kind,
                labels: described.variable_labels.clone(),
                of_fleet: self.of_fleet,
                help: described.help.clone(),
            });
        }
        self.registry.register(Box::new(family.clone()))?;
        Ok(family)
    }

    fn counter(&mut self, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
        self.add("counter", IntCounter::new(name, help)?)
    }

    fn counters(
        &mut self,
        name: &str,
        labels: &[&str],
        help: &str,
    ) -> Result<IntCounterVec, prometheus::Error> {
        self.add("counter", IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    fn gauge(&mut self, name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
        self.add("gauge", IntGauge::new(name, help)?)
    }

    fn gauges(&mut self, name: &str, labels: &[&str], help: &str) -> Result<IntGaugeVec, prometheus::Error> {
        self.add("gauge", IntGaugeVec::new(Opts::new(name, help), labels)?)
    }

    fn histograms(
        &mut self,
        name: &str,
        labels: &[&str],
        buckets: Vec<f64>,
        help: &str,
    ) -> Result<HistogramVec, prometheus::Error> {
        self.add("histogram", HistogramVec::new(HistogramOpts::new(name, help).buckets(buckets), labels)?)
    }
}

impl Metrics {
    /// All at zero. `job_types` and `queues` are those that have labels of their own.
    pub(crate) fn new(
        job_types: impl IntoIterator<Item = String>,
        queues: impl IntoIterator<Item = String>,
        store: Option<&StoreHandle>,
        telemetry: Option<&TelemetryNumbers>,
        bus: &BusNumbers,
        outside: Option<&EdgeNumbers>,
    ) -> Result<Self, prometheus::Error> {
        let mut all = Families { registry: Registry::new(), known: Vec::new(), of_fleet: false };
        // From a tenth of a millisecond to an hour, three steps a decade.
        let runs: Vec<f64> =
            seconds(1e-4, 7).into_iter().filter(|&bound| bound < 1e3).chain([1000.0, 3600.0]).collect();
        let submitted = all.counters(
            "gateway_jobs_submitted_total",
            &["type"],
            "Jobs that came in at this node, by type.",
        )?;
        let accepted =
            all.counter("gateway_jobs_accepted_total", "Jobs that came in at this node and were stored.")?;
        let started = all.counters(
            "callboard_attempts_started_total",
            &["queue", "type"],
            "Runs that began on this node.",
        )?;
        let ended = all.counters(
            "callboard_attempts_finished_total",
            &["queue", "type", "outcome"],
            "Runs that ended on this node, or as this node heard from outside, and were written: completed, retried, discarded, \
             cancelled, released, snoozed, or stale when the lease had ended before.",
        )?;
        let run_seconds = all.histograms(
            "callboard_attempt_duration_seconds",
            &["queue", "type"],
            runs.clone(),
            "Seconds that runs on this node took, however they ended.",
        )?;
        let claim_seconds = all.histograms(
            "callboard_claim_duration_seconds",
            &["queue"],
            seconds(1e-4, 5),
            "Seconds that claims of this node took, those that found nothing included.",
        )?;
        let log_lines = all.counters(
            "callboard_log_lines_total",
            &["queue", "type"],
            "Lines that runs on this node wrote to their logs.",
        )?;
        let log_lines_dropped = all.counters(
            "callboard_log_lines_dropped_total",
            &["queue", "type"],
            "Lines of them that were not kept: the log was longer than it may be, or the store was away.",
        )?;
        let queue_concurrency = all.gauges(
            "callboard_queue_concurrency",
            &["queue"],
            "Jobs of the queue that this node may run at once.",
        )?;
        let queue_claimed = all.gauges(
            "callboard_queue_claimed_jobs",
            &["queue"],
            "Jobs that this node has claimed and not yet begun.",
        )?;
        let queue_running =
            all.gauges("callboard_queue_running_jobs", &["queue"], "Jobs that run on this node.")?;
        let stale_writes = all.counter(
            "callboard_stale_writes_total",
            "Words of this node about attempts that were refused because their lease had ended.",
        )?;
        let rescued =
            all.counter("callboard_attempts_rescued_total", "Attempts of dead nodes that this node ended.")?;
        let sessions_opened =
            all.counter("callboard_sessions_opened_total", "Sessions that this node opened.")?;
        let sessions_lost = all.counter(
            "callboard_sessions_lost_total",
            "Sessions that this node lost: it was taken for dead, and killed what it ran.",
        )?;
        let leads = all.gauge(
            "callboard_leader",
            "1 while this node leads the fleet (scheduler, rescuer, pruner), else 0.",
        )?;
        let actor_restarts =
            all.counter("callboard_actor_restarts_total", "Restarts of this node's roles.")?;
        let actor_crashes = all.counter("callboard_actor_crashes_total", "Crashes of this node's roles.")?;
        if let Some(numbers) = store.and_then(StoreHandle::numbers) {
            all.add("histogram", numbers.batch_size.clone())?;
            all.add("histogram", numbers.write_seconds.clone())?;
            all.add("counter", numbers.failed.clone())?;
        }
        if let Some(numbers) = telemetry {
            all.add("counter", numbers.spans.clone())?;
            all.add("gauge", numbers.waiting.clone())?;
        }
        for gauge in [&bus.connected, &bus.blocked, &bus.window] {
            all.add("gauge", gauge.clone())?;
        }
        all.add("counter", bus.connections.clone())?;
        for counters in [&bus.published, &bus.settled, &bus.received, &bus.redelivered, &bus.verdicts] {
            all.add("counter", counters.clone())?;
        }
        if let Some(numbers) = outside {
            all.add("gauge", numbers.state.clone())?;
            all.add("counter", numbers.calls.clone())?;
            all.add("histogram", numbers.call_seconds.clone())?;
            all.add("counter", numbers.trips.clone())?;
        }
        let sink_behind = all.gauges(
            "callboard_sink_behind_events",
            &["sink"],
            "Events of the log that the sink outside was not told yet. Only the node that leads has a number.",
        )?;
        let sink_events = all.counters(
            "callboard_sink_events_total",
            &["sink"],
            "Events of the log that this node has told the sink outside.",
        )?;

        let validation_failed = all.counter(
            "processor_jobs_validation_failed_total",
            "Jobs whose payload did not fit their type when they were to run on this node, and messages from outside that were \
             invalid.",
        )?;
        let inbound = all.counters(
            "callboard_inbound_messages_total",
            &["from", "verdict", "reason"],
            "Messages from outside that this node has decided about. From: jobs (jobs.created), outcomes \
             (callboard.outcomes) or contract_outcomes (jobs.completed, jobs.failed). Verdict: done, later (they are delivered \
             again) or invalid (they are dead letters).",
        )?;
        let outlet = all.counters(
            "callboard_outlet_messages_total",
            &["queue", "outcome"],
            "Jobs that this node was to send to workers outside: sent, handed_back while the broker took nothing, or refused by \
             the broker.",
        )?;
        let lapsed = all.counters(
            "callboard_outside_attempts_lapsed_total",
            &["queue"],
            "Attempts that this node has ended because nothing was heard from the worker outside.",
        )?;
        let bulk = all.counters(
            "callboard_bulk_jobs_total",
            &["action", "outcome"],
            "Jobs that this node, while it led, has dealt with in bulk operations, by what came of them.",
        )?;

        let cron = all.counters(
            "callboard_cron_times_total",
            &["result"],
            "Times of the cron table that this node has dealt with: fired (a job was stored), skipped (the job before had not \
             ended, or this one could not be stored), or missed and not made up for.",
        )?;
        let lateness = HistogramOpts::new(
            "callboard_cron_lateness_seconds",
            "Seconds by which this node stored jobs of the cron table later than their times, with their jitter, say.",
        );
        let lateness = lateness.buckets(seconds(1e-3, 6));
        let cron_lateness = all.add("histogram", Histogram::with_opts(lateness)?)?;
        let key_missing = all.counters(
            "callboard_jobs_key_missing_total",
            &["queue"],
            "Times that this node has claimed a job whose encryption key it does not have: the job waits, and no attempt is spent.",
        )?;
        for result in ["fired", "skipped", "missed"] {
            cron.with_label_values(&[result]);
        }

        let requests_refused = all.counter(
            "callboard_requests_refused_total",
            "Requests that were refused because their client made more than `web.rate_limit`.",
        )?;
        let terminals =
            all.gauge("callboard_terminal_sessions", "Sessions of the web terminal that are there now.")?;
        let terminals_opened = all.counters(
            "callboard_terminal_sessions_opened_total",
            &["protocol"],
            "Sessions of the web terminal that were opened, by the protocol of their client.",
        )?;
        let terminals_ended = all.counters(
            "callboard_terminal_sessions_ended_total",
            &["reason"],
            "Sessions of the web terminal that ended, by why: exited, left, idle, too_old, killed, failed or stopped.",
        )?;
        let terminals_refused = all.counters(
            "callboard_terminal_refused_total",
            &["code"],
            "Clients of the web terminal that were refused, by the code that they were told.",
        )?;
        all.of_fleet = true;
        let processed = all.counter("processor_jobs_processed_total", "Jobs that were finished, however.")?;
        let completed = all.counter("processor_jobs_completed_total", "Jobs that were completed.")?;
        let failed =
            all.counter("processor_jobs_failed_total", "Jobs that failed for good or were cancelled.")?;
        let processing =
            HistogramOpts::new("processor_job_processing_seconds", "Seconds that runs of jobs took.");
        let processing_seconds =
            all.add("histogram", Histogram::with_opts(processing.buckets(runs.clone()))?)?;
        let attempts_failed =
            all.counters("callboard_attempts_failed_total", &["type"], "Attempts that failed, by type.")?;
        let start_latency = all.histograms(
            "callboard_job_start_latency_seconds",
            &["queue", "type"],
            runs,
            "Seconds from when a job could have run to when its run began.",
        )?;
        let finished = all.counters(
            "callboard_jobs_finished_total",
            &["queue", "type", "outcome"],
            "Jobs that came to their end: completed, or failed (discarded or cancelled).",
        )?;
        let quarantined = all.counters(
            "callboard_jobs_quarantined_total",
            &["queue", "type"],
            "Jobs that were put into quarantine because their runs died with their nodes.",
        )?;
        let signalled = all.counters(
            "callboard_jobs_signalled_total",
            &["queue", "type"],
            "Signals that were sent to jobs.",
        )?;
        let queue_jobs =
            all.gauges("callboard_queue_jobs", &["queue", "state"], "Unfinished jobs, by queue and state.")?;
        let queue_paused = all.gauges(
            "callboard_queue_paused",
            &["queue", "cause"],
            "1 while the queue is paused for this cause, else 0: requested (somebody has asked for it), job_crashes, actor_crashes.",
        )?;
        let queue_oldest = all.gauges(
            "callboard_queue_oldest_available_seconds",
            &["queue"],
            "For how many seconds the job that has waited longest could have run; 0 if none waits.",
        )?;
        let edge_tripped = all.gauges(
            "callboard_edge_tripped",
            &["edge"],
            "1 while the edge, a service outside that jobs need, is tripped, else 0.",
        )?;
        let edge_parked = all.gauges(
            "callboard_edge_parked_jobs",
            &["edge"],
            "Available jobs that are put aside because the edge is tripped, counted up to 1000.",
        )?;
        let log_position = all.gauge("callboard_log_position", "The newest position of the log.")?;
        // They are there from the start: a counter that appears with its first count has risen from nowhere, which no rate and
        // no alert sees.
        let job_types: BTreeSet<String> = job_types.into_iter().collect();
        let queues: BTreeSet<String> = queues.into_iter().collect();
        for job_type in job_types.iter().map(String::as_str).chain([OTHER]) {
            submitted.with_label_values(&[job_type]);
            for queue in &queues {
                quarantined.with_label_values(&[queue, job_type]);
                signalled.with_label_values(&[queue, job_type]);
            }
        }
        let Families { registry, known, .. } = all;
        Ok(Metrics(Arc::new(Numbers {
            registry,
            families: known,
            job_types,
            queues,
            submitted,
            accepted,
            processed,
            completed,
            failed,
            validation_failed,
            processing_seconds,
            attempts_failed,
            stale_writes,
            rescued,
            actor_restarts,
            actor_crashes,
            queue_jobs,
            queue_oldest,
            queue_paused,
            queue_concurrency,
            queue_claimed,
            queue_running,
            start_latency,
            finished,
            quarantined,
            signalled,
            requests_refused,
            terminals,
            terminals_opened,
            terminals_ended,
            terminals_refused,
            started,
            ended,
            run_seconds,
            claim_seconds,
            log_lines,
            log_lines_dropped,
            sessions_opened,
            sessions_lost,
            edges: Mutex::default(),
            edge_tripped,
            edge_parked,
            leads,
            log_position,
            inbound,
            lapsed,
            cron,
            cron_lateness,
            key_missing,
            bulk,
            outlet,
            sink_behind,
            sink_events,
        })))
    }

    /// A client made more requests than it may.
    pub fn request_refused(&self) {
        self.0.requests_refused.inc();
    }

    /// Something happened at the web terminal.
    pub fn terminal(&self, event: TerminalEvent) {
        let numbers = &self.0;
        match event {
            TerminalEvent::Opened { protocol } => {
                numbers.terminals.inc();
                numbers.terminals_opened.with_label_values(&[protocol]).inc();
            }
            TerminalEvent::Ended { reason } => {
                numbers.terminals.dec();
                numbers.terminals_ended.with_label_values(&[reason]).inc();
            }
            TerminalEvent::Refused { code } => {
                numbers.terminals_refused.with_label_values(&[code]).inc();
            }
        }
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

    /// What the families are that [`render`](Self::render) gives, those without a number yet included.
    pub fn families(&self) -> &[MetricFamily] {
        &self.0.families
    }

    fn label<'a>(&self, job_type: &'a str) -> &'a str {
        if self.0.job_types.contains(job_type) { job_type } else { OTHER }
    }

    fn place<'a>(&self, queue: &'a str, job_type: &'a str) -> [&'a str; 2] {
        [if self.0.queues.contains(queue) { queue } else { OTHER }, self.label(job_type)]
    }

    pub(crate) fn submitted(&self, job_type: &str) {
        self.0.submitted.with_label_values(&[self.label(job_type)]).inc();
    }

    /// A job of this queue was claimed whose key is not here.
    pub(crate) fn key_missing(&self, queue: &str) {
        self.0.key_missing.with_label_values(&[queue]).inc();
    }

    /// A job of the cron table was stored, so late.
    pub(crate) fn cron_fired(&self, late: Duration) {
        self.0.cron.with_label_values(&["fired"]).inc();
        self.0.cron_lateness.observe(late.as_secs_f64());
    }

    /// A time of the cron table was passed over.
    pub(crate) fn cron_skipped(&self) {
        self.0.cron.with_label_values(&["skipped"]).inc();
    }

    /// Times of the cron table were missed.
    pub(crate) fn cron_missed(&self, times: u64) {
        self.0.cron.with_label_values(&["missed"]).inc_by(times);
    }

    pub(crate) fn accepted(&self) {
        self.0.accepted.inc();
    }

    /// A run began here.
    pub(crate) fn began(&self, queue: &str, job_type: &str) {
        self.0.started.with_label_values(&self.place(queue, job_type)).inc();
    }

    /// A run ended here after this time.
    pub(crate) fn ran(&self, queue: &str, job_type: &str, took: Duration) {
        self.0.run_seconds.with_label_values(&self.place(queue, job_type)).observe(took.as_secs_f64());
    }

    /// The lines that runs of this type say, and those of them that are not kept.
    pub(crate) fn log_lines(&self, queue: &str, job_type: &str) -> (IntCounter, IntCounter) {
        let place = self.place(queue, job_type);
        let of = |counters: &IntCounterVec| counters.with_label_values(&place);
        (of(&self.0.log_lines), of(&self.0.log_lines_dropped))
    }

    /// The end of an attempt is written.
    pub(crate) fn ended(&self, queue: &str, job_type: &str, end: &AttemptEnd) {
        let outcome = match end {
            AttemptEnd::Completed { .. } => "completed",
            AttemptEnd::Failed { retry_at: Some(_), .. } => "retried",
            AttemptEnd::Failed { retry_at: None, .. } => "discarded",
            AttemptEnd::Cancelled { .. } => "cancelled",
            AttemptEnd::Released => "released",
            AttemptEnd::Snoozed { .. } => "snoozed",
        };
        self.count_end(queue, job_type, outcome);
        if matches!(end, AttemptEnd::Failed { error, .. } if error.kind == ErrorKind::InvalidPayload) {
            self.0.validation_failed.inc();
        }
    }

    fn count_end(&self, queue: &str, job_type: &str, outcome: &str) {
        let [queue, job_type] = self.place(queue, job_type);
        self.0.ended.with_label_values(&[queue, job_type, outcome]).inc();
    }

    /// A word about an attempt came too late.
    pub(crate) fn stale_write(&self, queue: &str, job_type: &str, is_end: bool) {
        self.0.stale_writes.inc();
        if is_end {
            self.count_end(queue, job_type, "stale");
        }
    }

    /// So many events wait for the sink; `None`: this node does not tell it any.
    pub(crate) fn sink_behind(&self, sink: &str, events: Option<u64>) {
        match events {
            Some(events) => {
                let events = i64::try_from(events).unwrap_or(i64::MAX);
                self.0.sink_behind.with_label_values(&[sink]).set(events);
            }
            // There may be none.
            None => drop(self.0.sink_behind.remove_label_values(&[sink])),
        }
    }

    /// The sink has taken so many events.
    pub(crate) fn sink_told(&self, sink: &str, events: usize) {
        self.0.sink_events.with_label_values(&[sink]).inc_by(events as u64);
    }

    pub(crate) fn rescued(&self, attempts: u64) {
        self.0.rescued.inc_by(attempts);
    }

    /// A claim for a queue of this node was answered.
    pub(crate) fn claimed(&self, queue: &str, took: Duration) {
        self.0.claim_seconds.with_label_values(&[queue]).observe(took.as_secs_f64());
    }

    /// It is decided about a message from outside.
    pub(crate) fn inbound(&self, from: &str, verdict: &str, reason: &str) {
        self.0.inbound.with_label_values(&[from, verdict, reason]).inc();
        if verdict == "invalid" {
            self.0.validation_failed.inc();
        }
    }

    /// A worker outside has told of the end of an attempt, which led to this state.
    pub(crate) fn outside_ended(&self, queue: &str, job_type: &str, state: JobState) {
        let outcome = match state {
            JobState::Completed => "completed",
            JobState::Retryable => "retried",
            JobState::Cancelled => "cancelled",
            _ => "discarded",
        };
        self.count_end(queue, job_type, outcome);
    }

    /// This became of jobs that were to be sent outside.
    pub(crate) fn outlet(&self, queue: &str, outcome: &str, jobs: u64) {
        self.0.outlet.with_label_values(&[queue, outcome]).inc_by(jobs);
    }

    /// A bulk operation has dealt with jobs.
    pub(crate) fn dealt_with_in_bulk(&self, action: BulkAction, outcome: BulkOutcome, jobs: u64) {
        self.0.bulk.with_label_values(&[action.as_str(), outcome.as_str()]).inc_by(jobs);
    }

    /// Nothing was heard of attempts from outside.
    pub(crate) fn lapsed(&self, queue: &str, attempts: u64) {
        let queue = if self.0.queues.contains(queue) { queue } else { OTHER };
        self.0.lapsed.with_label_values(&[queue]).inc_by(attempts);
    }

    pub(crate) fn session_opened(&self) {
        self.0.sessions_opened.inc();
    }

    pub(crate) fn session_lost(&self) {
        self.0.sessions_lost.inc();
    }

    pub(crate) fn actor_ended(&self, crashed: bool, restarting: bool) {
        self.0.actor_crashes.inc_by(crashed.into());
        self.0.actor_restarts.inc_by(restarting.into());
    }

    /// Counts what the log says.
    pub(crate) fn events(&self, count: &EventCount) {
        let numbers = &*self.0;
        let place @ [queue, job_type] = self.place(&count.queue, &count.job_type);
        let durations = || count.durations.iter().map(Duration::as_secs_f64);
        let took = || durations().for_each(|took| numbers.processing_seconds.observe(took));
        let finished = |number: &IntCounter, outcome| {
            numbers.processed.inc_by(count.events);
            number.inc_by(count.events);
            numbers.finished.with_label_values(&[queue, job_type, outcome]).inc_by(count.events);
        };
        let failed = |attempts| numbers.attempts_failed.with_label_values(&[job_type]).inc_by(attempts);
        match count.event_type {
            EventType::Executed | EventType::AttemptStarted => {
                let latency = numbers.start_latency.with_label_values(&place);
                durations().for_each(|waited| latency.observe(waited));
            }
            EventType::Completed => {
                finished(&numbers.completed, "completed");
                took();
            }
            EventType::Failed => {
                finished(&numbers.failed, "failed");
                // Of a job that was cancelled before it ran there was no attempt.
                failed(count.durations.len() as u64);
                took();
            }
            EventType::AttemptFailed => {
                failed(count.events);
                took();
            }
            EventType::Quarantined => numbers.quarantined.with_label_values(&place).inc_by(count.events),
            EventType::Signalled => numbers.signalled.with_label_values(&place).inc_by(count.events),
            _ => {}
        }
    }

    /// Sets what a queue holds now.
    pub(crate) fn queue(&self, queue: &str, totals: &QueueTotals, now: Timestamp) {
        for state in JobState::ALL.into_iter().filter(|state| !state.is_final()) {
            let count = i64::try_from(totals.count(state)).unwrap_or(i64::MAX);
            self.0.queue_jobs.with_label_values(&[queue, state.as_str()]).set(count);
        }
        let oldest = totals.oldest_available_at.map_or(Duration::ZERO, |since| now.saturating_since(since));
        let oldest = i64::try_from(oldest.as_secs()).unwrap_or(i64::MAX);
        self.0.queue_oldest.with_label_values(&[queue]).set(oldest);
        // Before causes were kept only people paused queues.
        let paused = totals
            .paused_at
            .map(|_| totals.pause.as_ref().map_or(PauseCause::Requested, |pause| pause.cause));
        for cause in PauseCause::ALL {
            let now = i64::from(paused == Some(cause));
            self.0.queue_paused.with_label_values(&[queue, cause.as_str()]).set(now);
        }
    }

    /// Sets what this node does for one of its queues now.
    pub(crate) fn board(&self, queue: &str, concurrency: u32, claimed: usize, running: usize) {
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.0.queue_concurrency.with_label_values(&[queue]).set(concurrency.into());
        self.0.queue_claimed.with_label_values(&[queue]).set(number(claimed));
        self.0.queue_running.with_label_values(&[queue]).set(number(running));
    }

    /// Sets how the edges are now.
    pub(crate) fn edges(&self, edges: &[EdgeRecord], now: Timestamp) {
        let names: BTreeSet<String> = edges.iter().map(|edge| edge.name.clone()).collect();
        let before = std::mem::replace(&mut *self.0.edges.lock(), names.clone());
        for forgotten in before.difference(&names) {
            // They were set together.
            let _ = self.0.edge_tripped.remove_label_values(&[forgotten]);
            let _ = self.0.edge_parked.remove_label_values(&[forgotten]);
        }
        for edge in edges {
            let tripped = edge.tripped_at(now).is_some();
            self.0.edge_tripped.with_label_values(&[&edge.name]).set(tripped.into());
            let parked = i64::try_from(edge.parked).unwrap_or(i64::MAX);
            self.0.edge_parked.with_label_values(&[&edge.name]).set(parked);
        }
    }

    /// Sets how the node stands in the fleet, and where the log is.
    pub(crate) fn stands(&self, leads: bool, newest: LogCursor) {
        self.0.leads.set(leads.into());
        self.0.log_position.set(i64::try_from(newest.position).unwrap_or(i64::MAX));
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use callboard_contracts::api::AttemptError;

    use super::*;

    #[test]
    fn names_are_the_contracts_and_types_that_nobody_knows_share_a_label() {
        let metrics = Metrics::new(
            ["noop".to_owned()],
            ["default".to_owned()],
            None,
            None,
            &BusNumbers::default(),
            None,
        )
        .unwrap();
        metrics.submitted("noop");
        for made_up in ["x", "y", "z"] {
            metrics.submitted(made_up);
            metrics.began(made_up, made_up);
        }
        metrics.accepted();
        metrics.ended("default", "noop", &AttemptEnd::Released);
        metrics.stale_write("default", "noop", true);
        let error = AttemptError {
            kind: ErrorKind::InvalidPayload,
            message: "missing field".to_owned(),
            backtrace: None,
            is_final: true,
        };
        metrics.ended("default", "noop", &AttemptEnd::Failed { error, retry_at: None });
        let text = metrics.render();
        for line in [
            "gateway_jobs_submitted_total{type=\"noop\"} 1",
            "gateway_jobs_submitted_total{type=\"other\"} 3",
            "gateway_jobs_accepted_total 1",
            "processor_jobs_processed_total 0",
            "processor_jobs_completed_total 0",
            "processor_jobs_failed_total 0",
            "processor_jobs_validation_failed_total 1",
            "processor_job_processing_seconds_count 0",
            "callboard_attempts_started_total{queue=\"other\",type=\"other\"} 3",
            "callboard_attempts_finished_total{outcome=\"released\",queue=\"default\",type=\"noop\"} 1",
            "callboard_attempts_finished_total{outcome=\"stale\",queue=\"default\",type=\"noop\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("\"x\""));
    }
}
