//! Which of the traces that begin here are recorded.

use callboard_contracts::TraceContext;

/// How many values the last four bytes of a trace's number have. They are random whoever made it; what stands before
/// them in a UUID of version 7 counts up within a millisecond.
const VALUES: u64 = 1 << 32;

/// A share of all traces. The same trace gets the same answer everywhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sampler {
    below: u64,
}

impl Sampler {
    /// `ratio`: from 0 to 1; what is outside is taken for the nearest of them.
    pub(super) fn new(ratio: f64) -> Self {
        // The cast of a float saturates, and takes NaN for 0.
        Sampler { below: (ratio.clamp(0.0, 1.0) * VALUES as f64) as u64 }
    }

    pub(super) fn records(self, trace: TraceContext) -> bool {
        let [.., a, b, c, d] = trace.trace_bytes();
        u64::from(u32::from_be_bytes([a, b, c, d])) < self.below
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_share_is_what_was_asked_for() {
        for (ratio, least, most) in [(0.0, 0, 0), (0.25, 2200, 2800), (1.0, 10_000, 10_000), (f64::NAN, 0, 0)]
        {
            let sampler = Sampler::new(ratio);
            let traces = (0..10_000).map(|_| TraceContext::begin(Uuid::now_v7()));
            let recorded = traces.filter(|trace| sampler.records(*trace)).count();
            assert!((least..=most).contains(&recorded), "{ratio}: {recorded}");
        }
    }
}
