//! How jobs go out to workers outside.

use std::{fmt, sync::Arc, time::Duration};

use callboard_contracts::outside::jobs_queue;

use crate::edges::bus::Publish;

/// How the jobs of a queue go out to workers outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutletConfig {
    /// For how long nothing may be heard of an attempt before it is taken for lost, on the store's clock.
    pub visibility_timeout: Duration,
    /// The broker's queue. `None`: `callboard.jobs.NAME`.
    pub destination: Option<String>,
}

impl Default for OutletConfig {
    fn default() -> Self {
        OutletConfig { visibility_timeout: Duration::from_secs(5 * 60), destination: None }
    }
}

impl OutletConfig {
    /// The broker's queue for the jobs of a queue of this name.
    pub fn destination(&self, queue: &str) -> String {
        self.destination.clone().unwrap_or_else(|| jobs_queue(queue))
    }
}

/// Whatever sends messages outside.
#[derive(Clone)]
pub struct Publisher(pub Arc<dyn Publish>);

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Publisher")
    }
}
