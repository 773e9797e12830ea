//! What goes over the bus, in numbers.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts};

/// The numbers of a bus; all zero where there is none. Clones share them; whoever renders metrics registers them.
#[derive(Clone, Debug)]
pub struct BusNumbers {
    pub(crate) connected: IntGauge,
    pub(crate) blocked: IntGauge,
    pub(crate) connections: IntCounter,
    pub(crate) published: IntCounterVec,
    pub(crate) settled: IntCounterVec,
    pub(crate) window: IntGauge,
    pub(crate) received: IntCounterVec,
    pub(crate) redelivered: IntCounterVec,
    pub(crate) verdicts: IntCounterVec,
}

impl Default for BusNumbers {
    fn default() -> Self {
        let known = "the names are constant and valid, which every test of the metrics proves";
        let gauge = |name, help| IntGauge::new(name, help).expect(known);
        let counters =
            |name, labels: &[&str], help| IntCounterVec::new(Opts::new(name, help), labels).expect(known);
        BusNumbers {
            connected: gauge(
                "callboard_bus_connected",
                "1 while this node has a connection to the broker, else 0.",
            ),
            blocked: gauge(
                "callboard_bus_blocked",
                "1 while the broker takes no messages (it is low on memory or disk), else 0.",
            ),
            connections: IntCounter::new(
                "callboard_bus_connections_total",
                "Connections to the broker that this node made.",
            )
            .expect(known),
            published: counters(
                "callboard_bus_published_total",
                &["to"],
                "Messages that this node sent to the broker: to a queue, or to the topic exchange.",
            ),
            settled: counters(
                "callboard_bus_publishes_settled_total",
                &["outcome"],
                "Messages that this node was to send, by what became of them: confirmed, returned (no such queue), refused by the \
                 broker, or unconfirmed (the broker was away or did not answer; they are sent again).",
            ),
            window: gauge(
                "callboard_bus_window_used",
                "Messages that this node has sent and the broker has not confirmed yet.",
            ),
            received: counters(
                "callboard_bus_received_total",
                &["queue"],
                "Messages that this node was given by the broker.",
            ),
            redelivered: counters(
                "callboard_bus_redelivered_total",
                &["queue"],
                "Messages of them that the broker has given to somebody before.",
            ),
            verdicts: counters(
                "callboard_bus_verdicts_total",
                &["queue", "verdict"],
                "Messages that this node was given, by what became of them: done, invalid (put to the dead letters), or later \
                 (held back, and tried again).",
            ),
        }
    }
}
