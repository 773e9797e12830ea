//! [`TestSystem`].

use std::{ops::Deref, time::Duration};

use crate::{
    meta::{State, StopReason},
    reference::Node,
    supervisor::SupervisorSpec,
    system::{ActorSystem, ActorSystemBuilder, ShutdownReport},
    testkit::{advance, settle},
};

/// How long a shutdown may take. On the paused clock the time costs nothing.
const SHUTDOWN: Duration = Duration::from_secs(60);

/// An [`ActorSystem`] on the test's own thread and clock, which fails the test when it does not start or stop as it
/// should. To be used inside of [`run`](crate::testkit::run). Dropped without a shutdown, it kills what runs.
///
/// ```
/// use callboard_supervisors::{SupervisorSpec, testkit::{TestSystem, run}};
///
/// run(async {
///     let system = TestSystem::start(SupervisorSpec::new("root")).await;
///     system.advance(std::time::Duration::from_secs(3600)).await;
///     assert!(system.root().is_running());
///     system.shutdown().await;
/// });
/// ```
#[derive(Debug)]
pub struct TestSystem(ActorSystem);

impl Deref for TestSystem {
    type Target = ActorSystem;

    fn deref(&self) -> &ActorSystem {
        &self.0
    }
}

impl TestSystem {
    /// Starts the tree, and waits until every declared child runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(root: SupervisorSpec) -> Self {
        TestSystem::started(ActorSystem::builder("test").local(), root).await
    }

    /// As [`start`](Self::start), in an order of events that the seed decides: see
    /// [`ActorSystemBuilder::seeded`](crate::ActorSystemBuilder::seeded).
    ///
    /// # Panics
    /// When it does not start.
    pub async fn seeded(seed: u64, root: SupervisorSpec) -> Self {
        TestSystem::started(ActorSystem::builder("test").seeded(seed), root).await
    }

    async fn started(builder: ActorSystemBuilder, root: SupervisorSpec) -> Self {
        match builder.start(root).await {
            Ok(system) => TestSystem(system),
            Err(error) => panic!("the test's system did not start: {error}"),
        }
    }

    /// Moves the clock: see [`advance`].
    ///
    /// # Panics
    /// Outside of [`run`](crate::testkit::run).
    pub async fn advance(&self, time: Duration) {
        advance(time).await;
    }

    /// Lets everything run that can run now: see [`settle`].
    ///
    /// # Panics
    /// Outside of [`run`](crate::testkit::run).
    pub async fn settle(&self) {
        settle().await;
    }

    /// Stops the tree in order, within a minute of the test's clock.
    ///
    /// # Panics
    /// When something did not stop by then, or when an actor that ran did not end in order: it was killed at its own
    /// timeout, or its stop hook panicked. Children that are to be killed
    /// ([`Shutdown::Brutal`](crate::Shutdown::Brutal)) are not expected to end in order.
    pub async fn shutdown(self) -> ShutdownReport {
        let orderly = self.0.root().node().orderly();
        let orderly: Vec<_> = orderly.into_iter().filter(|node| runs(&**node)).collect();
        let report = self.0.shutdown(SHUTDOWN).await;
        assert!(report.is_clean(), "the test's system did not stop in {SHUTDOWN:?}: {report:?}");
        let late = orderly.iter().filter_map(|node| {
            let reason = node.meta().last_reason()?;
            let in_order = matches!(reason, StopReason::Shutdown | StopReason::Normal);
            (!in_order).then(|| format!("`{}`: {reason}", node.meta().path()))
        });
        let late: Vec<_> = late.collect();
        assert!(late.is_empty(), "not stopped in order: {}", late.join("; "));
        report
    }
}

fn runs(node: &dyn Node) -> bool {
    matches!(node.meta().state(), State::Running | State::Suspended)
}
