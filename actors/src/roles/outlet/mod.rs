//! Queues whose jobs are done by workers outside.
//!
//! An [`Outlet`] claims their jobs under its node's session, sends them, and hands each lease over once the broker has its
//! message: from then on it belongs to no node, and ends when nothing was heard of it for the queue's visibility timeout.
//! Before that it is as that of any job that the node has claimed: it goes back when it cannot be sent, and is rescued when
//! the node dies. [`Lapses`] ends what nothing was heard of.

mod config;
mod lapses;
mod message;
mod sender;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use config::{OutletConfig, Publisher};
pub(crate) use lapses::Lapses;
pub(crate) use sender::{Outlet, OutletArgs};

use super::RolesConfig;
use crate::{
    edges::store::outside::RetryPlan,
    jobs::{JobRegistry, RetryPolicy, retry},
};

/// As what Callboard is known in the events and letters that it sends.
pub(crate) const SERVICE: &str = "callboard";

/// What the roles know of workers outside.
pub(crate) struct Outside {
    /// The queues that they serve, each with its visibility timeout.
    pub(crate) served: Arc<BTreeMap<String, Duration>>,
    policies: Arc<BTreeMap<String, RetryPolicy>>,
}

impl Outside {
    pub(crate) fn new(config: &RolesConfig, registry: &JobRegistry) -> Self {
        let served = config.outlets.iter().map(|(name, outlet)| (name.clone(), outlet.visibility_timeout));
        let policies = registry.types().filter_map(|job_type| {
            let policy = job_type.options().retry?;
            Some((job_type.name().to_owned(), policy))
        });
        Outside { served: Arc::new(served.collect()), policies: Arc::new(policies.collect()) }
    }

    /// When what fails from now on is followed by another attempt; `other`: of types that do not say it.
    pub(crate) fn retry_plan(&self, other: RetryPolicy) -> RetryPlan {
        RetryPlan { by_type: self.policies.clone(), other, random: retry::random() }
    }
}
