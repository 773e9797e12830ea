//! What becomes of spans, in numbers.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

/// The numbers of the spans. Clones share them; whoever renders metrics registers them.
#[derive(Clone, Debug)]
pub(crate) struct TelemetryNumbers {
    pub(crate) spans: IntCounterVec,
    pub(crate) waiting: IntGauge,
    pub(super) exported: IntCounter,
    pub(super) dropped: IntCounter,
    pub(super) rejected: IntCounter,
}

impl TelemetryNumbers {
    pub(super) fn new() -> Self {
        let known = "the names are constant and valid, which every test of the metrics proves";
        let spans = Opts::new(
            "callboard_telemetry_spans_total",
            "Spans that were recorded, by what became of them: exported, dropped because too many waited or the collector \
             was away at the end, or rejected by the collector.",
        );
        let spans = IntCounterVec::new(spans, &["outcome"]).expect(known);
        let waiting = IntGauge::new(
            "callboard_telemetry_spans_waiting",
            "Spans that wait to be sent to the collector.",
        );
        TelemetryNumbers {
            exported: spans.with_label_values(&["exported"]),
            dropped: spans.with_label_values(&["dropped"]),
            rejected: spans.with_label_values(&["rejected"]),
            waiting: waiting.expect(known),
            spans,
        }
    }
}
