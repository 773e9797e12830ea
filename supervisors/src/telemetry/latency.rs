//! [`LatencySnapshot`]: how long an actor's handlers take, from samples.

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

/// The first bucket ends at 128 ns, each further one at twice as much; the last has no end.
const BUCKETS: usize = 32;
const FIRST: u32 = 7;

/// Written by the actor's thread alone.
#[derive(Default)]
pub(crate) struct Latency {
    buckets: [AtomicU32; BUCKETS],
}

impl Latency {
    /// In nanoseconds.
    pub(crate) fn record(&self, nanos: u64) {
        let bits = u64::BITS - nanos.leading_zeros();
        let bucket = usize::try_from(bits.saturating_sub(FIRST)).unwrap_or(BUCKETS).min(BUCKETS - 1);
        if let Some(bucket) = self.buckets.get(bucket) {
            bucket.store(bucket.load(Relaxed).saturating_add(1), Relaxed);
        }
    }

    pub(crate) fn snapshot(&self) -> LatencySnapshot {
        let counts = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        LatencySnapshot { counts }
    }
}

/// How long an actor's handlers took, from one message of so many (see
/// [`ActorSystemBuilder::sample_latency`](crate::ActorSystemBuilder::sample_latency)). An `async` handler is measured
/// to its end; of a [`Later`](crate::Later) only the part in the handler.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Counter>::new("counter", ());
/// let counter = spec.actor_ref();
/// let root = SupervisorSpec::new("root").child(spec);
/// let system = ActorSystem::builder("example").executors(1).sample_latency(1).start(root).await?;
/// for _ in 0..10 {
///     counter.ask(Count).await?;
/// }
/// # counter.inspect().await;
/// let latency: LatencySnapshot = counter.snapshot().latency.expect("there are samples");
/// println!("half of {} messages took at most {:?}", latency.samples(), latency.quantile(0.5));
/// # assert!(latency.samples() >= 9 && latency.quantile(0.5).is_some());
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatencySnapshot {
    counts: Vec<u32>,
}

impl LatencySnapshot {
    /// How many messages were measured.
    pub fn samples(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The buckets that are not empty: up to which time, and how many. Each ends at twice the time of the one before;
    /// the first at 128 ns, and the last has no end, which is [`Duration::MAX`].
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u32)> {
        let counts = self.counts.iter().enumerate();
        counts.filter(|(_, count)| **count > 0).map(|(bucket, count)| (end_of(bucket), *count))
    }

    /// A time within which this share of the measured messages, from 0 to 1, was handled: the end of its bucket, so at
    /// most twice the true time. None without samples.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let samples = self.samples();
        #[expect(clippy::cast_precision_loss, reason = "a count of samples is far below 2^52")]
        let wanted = share.clamp(0.0, 1.0) * samples as f64;
        let mut sum = 0.0;
        self.buckets()
            .find(|(_, count)| {
                sum += f64::from(*count);
                sum >= wanted
            })
            .map(|(end, _)| end)
    }
}

fn end_of(bucket: usize) -> Duration {
    match u32::try_from(bucket) {
        Ok(bucket) if (bucket as usize) < BUCKETS - 1 => Duration::from_nanos(1 << (FIRST + bucket)),
        _ => Duration::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_twice_the_true_time() {
        let latency = Latency::default();
        assert_eq!(latency.snapshot().quantile(0.5), None);
        for micros in 1..=1000 {
            latency.record(1000 * micros);
        }
        let snapshot = latency.snapshot();
        assert_eq!(snapshot.samples(), 1000);
        for share in [0.1, 0.5, 0.9, 0.99, 1.0] {
            let truth = Duration::from_micros(1000).mul_f64(share);
            let said = snapshot.quantile(share).expect("samples");
            assert!(said >= truth && said <= truth * 2 + Duration::from_micros(2), "{share}: {said:?}");
        }
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_bucket_too() {
        let latency = Latency::default();
        latency.record(0);
        latency.record(u64::MAX);
        let buckets: Vec<_> = latency.snapshot().buckets().collect();
        assert_eq!(buckets, [(Duration::from_nanos(128), 1), (Duration::MAX, 1)]);
    }
}
