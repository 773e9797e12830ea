//! What the edge counts of the store's writes.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter};

/// The numbers of the store's writes. Clones share them; whoever renders metrics registers them.
#[derive(Clone, Debug)]
pub(crate) struct StoreNumbers {
    pub(crate) batch_size: Histogram,
    pub(crate) write_seconds: Histogram,
    pub(crate) failed: IntCounter,
}

impl StoreNumbers {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        // From one member, each step three to four times the one before, to the largest batch that can be set.
        let sizes = vec![1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0, 100_000.0];
        let size = HistogramOpts::new("callboard_store_batch_size", "Members of one write transaction.");
        let write = HistogramOpts::new(
            "callboard_store_write_duration_seconds",
            "Seconds that a write transaction took, failed ones included.",
        );
        Ok(StoreNumbers {
            batch_size: Histogram::with_opts(size.buckets(sizes))?,
            write_seconds: Histogram::with_opts(write.buckets(seconds(1e-4, 5)))?,
            failed: IntCounter::new(
                "callboard_store_writes_failed_total",
                "Write transactions of which nothing, or nobody knows what, was written.",
            )?,
        })
    }

    /// A transaction with so many members is over.
    pub(crate) fn written(&self, members: usize, took: Duration, failed: bool) {
        self.batch_size.observe(members as f64);
        self.write_seconds.observe(took.as_secs_f64());
        self.failed.inc_by(failed.into());
    }
}

/// Bounds of so many decades from `first`, three steps each.
pub(crate) fn seconds(first: f64, decades: i32) -> Vec<f64> {
    (0..decades).flat_map(|decade| [1.0, 2.5, 5.0].map(|step| step * first * 10_f64.powi(decade))).collect()
}
