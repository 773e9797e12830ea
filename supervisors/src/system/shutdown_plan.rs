//! [`ShutdownPlan`]: which parts of a system stop before the rest.

use std::time::Duration;

/// How a system stops: in phases, one after the other, and at last all that is left. A plain [`Duration`] is a plan
/// without phases.
///
/// ```
/// use callboard_supervisors::ShutdownPlan;
/// use std::time::Duration;
///
/// // Nothing new comes in, then the work in hand is finished, then the rest goes.
/// ShutdownPlan::new(Duration::from_secs(30))
///     .phase("entrances", Duration::from_secs(2), ["web", "consumers"])
///     .phase("work", Duration::from_secs(20), ["queues"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a plan does nothing until it is given to `ActorSystem::shutdown`"]
pub struct ShutdownPlan {
    pub(super) deadline: Duration,
    pub(super) phases: Vec<Phase>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Phase {
    pub(super) name: String,
    pub(super) limit: Duration,
    pub(super) paths: Vec<String>,
}

impl ShutdownPlan {
    /// The whole of it may take so long; what still runs then is killed.
    pub fn new(deadline: Duration) -> Self {
        ShutdownPlan { deadline, phases: Vec::new() }
    }

    /// One more phase after the others: what is at these paths is stopped, all of it at a time and each part in its own
    /// order. What has not stopped within `limit` goes on stopping while the next phase begins, and is named in the
    /// report. Paths at which there is nothing are passed over.
    pub fn phase(
        mut self,
        name: impl Into<String>,
        limit: Duration,
        paths: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let paths = paths.into_iter().map(Into::into).collect();
        self.phases.push(Phase { name: name.into(), limit, paths });
        self
    }
}

impl From<Duration> for ShutdownPlan {
    fn from(deadline: Duration) -> Self {
        ShutdownPlan::new(deadline)
    }
}
