//! What the calls to servers outside come to, in numbers.

use std::time::Duration;

use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts};

use super::EdgePhase;
use crate::edges::store::numbers::seconds;

/// The numbers of all edges of a node. Clones share them; whoever renders metrics registers them.
#[derive(Clone, Debug)]
pub struct EdgeNumbers {
    pub(crate) state: IntGaugeVec,
    pub(crate) calls: IntCounterVec,
    pub(crate) call_seconds: HistogramVec,
    pub(crate) trips: IntCounterVec,
}

impl Default for EdgeNumbers {
    /// All at zero.
    fn default() -> Self {
        let known = "the names are constant and valid, which every test of the metrics proves";
        let state = Opts::new(
            "callboard_edge_state",
            "1 for the state in which this node finds the server outside (connecting, ready, degraded or tripped), else 0.",
        );
        let calls = Opts::new(
            "callboard_edge_calls_total",
            "Calls to the server outside, by what became of them: ok, failed, timed_out, refused because it is tripped, full \
             because too many were under way, or abandoned by whoever made them.",
        );
        let call_seconds = HistogramOpts::new(
            "callboard_edge_call_duration_seconds",
            "Seconds that calls to the server outside took, failed ones included.",
        );
        let trips = Opts::new(
            "callboard_edge_trips_total",
            "How often the server outside was found to be away (the edge tripped).",
        );
        EdgeNumbers {
            state: IntGaugeVec::new(state, &["edge", "state"]).expect(known),
            calls: IntCounterVec::new(calls, &["edge", "outcome"]).expect(known),
            call_seconds: HistogramVec::new(call_seconds.buckets(seconds(1e-4, 5)), &["edge"]).expect(known),
            trips: IntCounterVec::new(trips, &["edge"]).expect(known),
        }
    }
}

impl EdgeNumbers {
    /// The edge is in this state.
    pub(super) fn stands(&self, edge: &str, state: EdgePhase) {
        for other in EdgePhase::ALL {
            self.state.with_label_values(&[edge, other.as_str()]).set((other == state).into());
        }
    }

    /// A call is over, or was not made.
    pub(super) fn called(&self, edge: &str, outcome: &str, took: Option<Duration>) {
        self.calls.with_label_values(&[edge, outcome]).inc();
        if let Some(took) = took {
            self.call_seconds.with_label_values(&[edge]).observe(took.as_secs_f64());
        }
    }

    /// The edge has tripped.
    pub(super) fn tripped(&self, edge: &str) {
        self.trips.with_label_values(&[edge]).inc();
    }
}
