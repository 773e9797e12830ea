//! [`Runtime`]: what the whole tree shares.

use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{executor::Executors, meta::State, reference::Node, registry::Registry};

/// What the whole tree shares.
pub(crate) struct Runtime {
    pub(crate) executors: Executors,
    pub(crate) registry: Registry,
    epoch: Instant,
    /// Children that did not end although they were killed; what has become of them since, they know. At most one entry
    /// for each that is there.
    stuck: Mutex<Vec<Weak<dyn Node>>>,
}

impl Runtime {
    pub(crate) fn new(executors: Executors) -> Self {
        Runtime { executors, registry: Registry::new(), epoch: Instant::now(), stuck: Mutex::default() }
    }

    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// A number in `0.0..1.0`, good enough to spread restarts.
    pub(super) fn chance(&self) -> f64 {
        #[cfg(feature = "testkit")]
        if let Some(bits) = self.executors.control().roll() {
            return fraction(bits);
        }
        random()
    }

    pub(super) fn report_stuck(&self, child: &Arc<dyn Node>) {
        let child = Arc::downgrade(child);
        let mut stuck = self.stuck.lock();
        stuck.retain(|other| other.strong_count() > 0 && !std::ptr::addr_eq(other.as_ptr(), child.as_ptr()));
        stuck.push(child);
    }

    /// Paths of those that are stuck now.
    pub(crate) fn stuck(&self) -> Vec<String> {
        let stuck = self.stuck.lock().clone();
        let living = stuck.iter().filter_map(Weak::upgrade);
        living.filter(|node| node.meta().state() == State::Stuck).map(|node| node.meta().path()).collect()
    }
}

/// A number in `0.0..1.0`, good enough to spread restarts.
pub(crate) fn random() -> f64 {
    fraction(RandomState::new().build_hasher().finish())
}

fn fraction(bits: u64) -> f64 {
    let bits = bits >> 11;
    // 53 bits fit a double exactly.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let fraction = bits as f64 / (1u64 << 53) as f64;
    fraction
}
