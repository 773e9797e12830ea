//! [`ActorSystem`]: a tree of actors and the threads that it runs on.

mod builder;
mod report;

use std::{fmt, sync::Arc, time::Duration, time::SystemTime};

use tokio::time::{Instant, timeout};

pub use builder::ActorSystemBuilder;
pub use report::ShutdownReport;

use crate::{
    actor::Actor,
    meta::{ActorSnapshot, State, StopReason, TreeSnapshot},
    reference::{ActorRef, Node},
    supervisor::{Runtime, Supervisor},
    task::Order,
};

/// How long an end that was forced may take, and how long each executor may take after it.
const FORCED: Duration = Duration::from_secs(1);

struct Inner {
    name: Arc<str>,
    runtime: Arc<Runtime>,
    root: Supervisor,
}

/// Whoever forgets to shut down does not leave threads behind: what runs on them is dropped, and counts as killed.
impl Drop for Inner {
    fn drop(&mut self) {
        self.runtime.executors.all().for_each(|executor| executor.close());
    }
}

/// A running tree of actors. Clones are handles of the same one; when the last is dropped, what still runs is killed.
#[derive(Clone)]
pub struct ActorSystem(Arc<Inner>);

impl fmt::Debug for ActorSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActorSystem(`{}`)", self.0.name)
    }
}

impl ActorSystem {
    /// Begins the description of a system. The name shows in thread names and snapshots.
    pub fn builder(name: impl Into<Arc<str>>) -> ActorSystemBuilder {
        ActorSystemBuilder::new(name.into())
    }

    fn new(name: Arc<str>, runtime: Arc<Runtime>, root: Supervisor) -> Self {
        ActorSystem(Arc::new(Inner { name, runtime, root }))
    }

    /// The system's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The root supervisor.
    pub fn root(&self) -> Supervisor {
        self.0.root.clone()
    }

    /// The actor at this path, as in `edges/store`. None if there is none, or it is of another type.
    pub fn find<A: Actor>(&self, path: &str) -> Option<ActorRef<A>> {
        self.0.root.find(path)
    }

    /// The whole tree as it is now, without asking anybody.
    pub fn snapshot(&self) -> TreeSnapshot {
        TreeSnapshot { system: self.0.name.clone(), at: SystemTime::now(), root: self.0.root.snapshot() }
    }

    /// Waits until the root supervisor is gone: it gave up, or the system was shut down.
    pub async fn terminated(&self) -> StopReason {
        self.0.root.watch().await
    }

    /// Stops the tree in reverse order, each child with its own timeout, and ends the threads. What has not stopped by
    /// the deadline is killed; what does not end even then, because it blocks its thread, is left behind and named in
    /// the report. A second call waits as the first does.
    ///
    /// Dropping the future does not take the order back; the threads then end when the last handle is dropped.
    pub async fn shutdown(&self, deadline: Duration) -> ShutdownReport {
        let began = Instant::now();
        let root = self.0.root.node();
        root.order(Order::Stop);
        let mut unstopped = Vec::new();
        if timeout(deadline, root.meta().watch()).await.is_err() {
            let snapshot = root.snapshot();
            let late = |node: &&ActorSnapshot| node.children.is_empty() && node.state != State::Stopped;
            unstopped = snapshot.walk().filter(late).map(|node| node.path.clone()).collect();
            root.order(Order::Abort { for_good: true });
            // The report says below whether this was enough.
            let _ = timeout(FORCED, root.meta().watch()).await;
        }
        let mut blocked_threads = 0;
        for executor in self.0.runtime.executors.all() {
            executor.close();
        }
        for executor in self.0.runtime.executors.all() {
            blocked_threads += usize::from(!executor.join(FORCED).await);
        }
        ShutdownReport { elapsed: began.elapsed(), unstopped, stuck: self.0.runtime.stuck(), blocked_threads }
    }
}
