//! [`Telemetry`]: where spans begin and end, and where they wait.

use std::{collections::VecDeque, fmt, sync::Arc};

use callboard_contracts::{Timestamp, TraceContext};
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::{
    TelemetryNumbers,
    sampling::Sampler,
    span::{Description, Span, SpanKind},
};

/// Where spans are opened. Cheap to clone; clones share one queue. The default records nothing.
#[derive(Clone)]
pub struct Telemetry(Arc<Shared>);

/// How much is recorded, and how much of it may wait.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TelemetryBounds {
    /// The share of the traces that begin here which is recorded, from 0 to 1.
    pub sample_ratio: f64,
    /// Spans that may wait; more are dropped and counted.
    pub queue_max: usize,
    /// So many waiting spans wake the exporter before its time.
    pub batch_max: usize,
}

struct Shared {
    recording: Option<Recording>,
    numbers: TelemetryNumbers,
}

struct Recording {
    sampler: Sampler,
    bounds: TelemetryBounds,
    waiting: Mutex<VecDeque<Span>>,
    gathered: Notify,
}

impl Default for Telemetry {
    fn default() -> Self {
        Telemetry(Arc::new(Shared { recording: None, numbers: TelemetryNumbers::new() }))
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bounds = self.0.recording.as_ref().map(|recording| recording.bounds);
        f.debug_tuple("Telemetry").field(&bounds).finish()
    }
}

impl Telemetry {
    /// One that records. Somebody must take what it records; else it keeps the first spans and drops the others.
    pub fn recording(bounds: TelemetryBounds) -> Self {
        let recording = Recording {
            sampler: Sampler::new(bounds.sample_ratio),
            bounds,
            waiting: Mutex::default(),
            gathered: Notify::new(),
        };
        Telemetry(Arc::new(Shared { recording: Some(recording), numbers: TelemetryNumbers::new() }))
    }

    /// Whether spans are recorded at all.
    pub fn is_on(&self) -> bool {
        self.0.recording.is_some()
    }

    /// Opens a span below `parent`, and recorded if that is; without one, at the beginning of a trace under the number of
    /// this correlation id. The span has its place in the trace also where nothing is recorded.
    pub fn open(&self, kind: SpanKind, parent: Option<TraceContext>, correlation_id: Uuid) -> OpenSpan {
        let context = match (parent, &self.0.recording) {
            (Some(parent), _) => parent.child(),
            (None, None) => TraceContext::begin(correlation_id),
            (None, Some(recording)) => {
                let begun = TraceContext::begin(correlation_id);
                begun.sampled(recording.sampler.records(begun))
            }
        };
        let recorded = self.is_on() && context.is_sampled();
        let recorded = recorded.then(|| Recorded { to: self.clone(), parent, kind, start: Timestamp::now() });
        OpenSpan { context, recorded }
    }

    fn record(&self, span: Span) {
        let Some(recording) = &self.0.recording else { return };
        let mut waiting = recording.waiting.lock();
        let fits = waiting.len() < recording.bounds.queue_max;
        if fits {
            waiting.push_back(span);
        } else {
            self.0.numbers.dropped.inc();
        }
        let count = waiting.len();
        self.0.numbers.waiting.set(i64::try_from(count).unwrap_or(i64::MAX));
        drop(waiting);
        if fits && count == recording.bounds.batch_max {
            recording.gathered.notify_one();
        }
    }

    pub(crate) fn numbers(&self) -> &TelemetryNumbers {
        &self.0.numbers
    }

    /// Resolves when enough spans for a batch have gathered.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only an exporter takes spans"))]
    pub(super) async fn gathered(&self) {
        match &self.0.recording {
            Some(recording) => recording.gathered.notified().await,
            None => std::future::pending().await,
        }
    }

    /// Takes the oldest of the spans that wait, and says whether enough for another batch are left.
    #[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only an exporter takes spans"))]
    pub(super) fn take(&self) -> Option<(Batch, bool)> {
        let recording = self.0.recording.as_ref()?;
        let mut waiting = recording.waiting.lock();
        let count = waiting.len().min(recording.bounds.batch_max);
        let spans: Vec<Span> = waiting.drain(..count).collect();
        let left = waiting.len();
        self.0.numbers.waiting.set(i64::try_from(left).unwrap_or(i64::MAX));
        let batch = Batch { spans, numbers: self.0.numbers.clone() };
        (count > 0).then_some((batch, left >= recording.bounds.batch_max))
    }
}

/// Spans on their way to the collector. Dropped before anybody has said what became of them, they count as dropped.
pub(super) struct Batch {
    spans: Vec<Span>,
    numbers: TelemetryNumbers,
}

#[cfg_attr(not(feature = "otlp"), allow(dead_code, reason = "only an exporter sends batches"))]
impl Batch {
    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The collector has them, but for so many that it did not want.
    pub(super) fn settle(mut self, rejected: u64) {
        let count = std::mem::take(&mut self.spans).len() as u64;
        let rejected = rejected.min(count);
        self.numbers.rejected.inc_by(rejected);
        self.numbers.exported.inc_by(count - rejected);
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.numbers.dropped.inc_by(self.spans.len() as u64);
    }
}

/// A span that has begun. If nobody ends it, nothing is recorded of it.
#[derive(Debug)]
pub struct OpenSpan {
    context: TraceContext,
    recorded: Option<Recorded>,
}

#[derive(Debug)]
struct Recorded {
    to: Telemetry,
    parent: Option<TraceContext>,
    kind: SpanKind,
    start: Timestamp,
}

impl OpenSpan {
    /// Its place in the trace, for what it causes.
    pub fn context(&self) -> TraceContext {
        self.context
    }

    /// Whether its end is recorded.
    pub fn is_recorded(&self) -> bool {
        self.recorded.is_some()
    }

    /// The span ends. It is described only if it is recorded.
    pub fn end(&self, describe: impl FnOnce() -> Description) {
        if let Some(Recorded { to, parent, kind, start }) = &self.recorded {
            let times = (*start, Timestamp::now());
            to.record(Span::new(self.context, *parent, *kind, times, describe()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recording(sample_ratio: f64) -> Telemetry {
        Telemetry::recording(TelemetryBounds { sample_ratio, queue_max: 3, batch_max: 2 })
    }

    fn parent(flags: &str) -> TraceContext {
        format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}").parse().unwrap()
    }

    #[test]
    fn who_sends_a_trace_decides_on_it_and_the_ratio_on_what_begins_here() {
        let open = |telemetry: &Telemetry, parent| {
            let span = telemetry.open(SpanKind::Internal, parent, Uuid::now_v7());
            (span.is_recorded(), span.context().is_sampled())
        };
        for ratio in [0.0, 1.0] {
            assert_eq!(open(&recording(ratio), Some(parent("01"))), (true, true));
            assert_eq!(open(&recording(ratio), Some(parent("00"))), (false, false));
        }
        assert_eq!(open(&recording(1.0), None), (true, true));
        assert_eq!(open(&recording(0.0), None), (false, false));
        assert_eq!(open(&Telemetry::default(), Some(parent("01"))), (false, true), "others may record it");
        assert_eq!(open(&Telemetry::default(), None), (false, false));
    }

    #[test]
    fn a_span_stands_below_its_parent_in_the_same_trace() {
        let telemetry = recording(1.0);
        let root = telemetry.open(SpanKind::Server, None, Uuid::now_v7());
        let child = telemetry.open(SpanKind::Internal, Some(root.context()), Uuid::now_v7());
        child.end(|| Description::new("child"));
        let (batch, more) = telemetry.take().unwrap();
        assert!(!more);
        let [span] = batch.spans() else { panic!("one span") };
        assert_eq!(span.context.trace_id(), root.context().trace_id());
        assert_eq!(span.parent, Some(root.context()));
        assert_ne!(span.context.span_id(), root.context().span_id());
    }

    #[test]
    fn what_does_not_fit_is_dropped_and_counted_and_so_is_a_batch_that_nobody_settles() {
        let telemetry = recording(1.0);
        for _ in 0..5 {
            telemetry.open(SpanKind::Internal, None, Uuid::now_v7()).end(|| Description::new("a"));
        }
        let numbers = telemetry.numbers().clone();
        assert_eq!((numbers.dropped.get(), numbers.waiting.get()), (2, 3));
        let (batch, more) = telemetry.take().unwrap();
        assert!(batch.spans().len() == 2 && !more);
        batch.settle(1);
        assert_eq!((numbers.exported.get(), numbers.rejected.get(), numbers.waiting.get()), (1, 1, 1));
        drop(telemetry.take().unwrap());
        assert_eq!((numbers.dropped.get(), numbers.waiting.get()), (3, 0));
        assert!(telemetry.take().is_none());
    }

    #[tokio::test]
    async fn a_whole_batch_wakes_the_exporter() {
        let telemetry = recording(1.0);
        for _ in 0..2 {
            telemetry.open(SpanKind::Internal, None, Uuid::now_v7()).end(|| Description::new("a"));
        }
        telemetry.gathered().await;
    }
}
