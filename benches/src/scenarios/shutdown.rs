//! The end of a tree of 100,000 actors.

use std::time::{Duration, Instant};

use callboard_supervisors::{ActorRef, ActorSystem, ChildSpec, DynamicSupervisorSpec, SupervisorSpec};

use crate::{
    contender::name,
    libraries::callboard::{Counter, Get},
    scenarios::milliseconds,
};

const SUPERVISORS: usize = 100;
const CHILDREN: usize = 1000;
const DEADLINE: Duration = Duration::from_secs(120);

async fn shut_down(system: ActorSystem, last: ActorRef<Counter>) -> [f64; 1] {
    last.ask(Get).await.expect("an answer");
    let began = Instant::now();
    let report = system.shutdown(DEADLINE).await;
    assert!(report.is_clean(), "{report:?}");
    [milliseconds(began.elapsed())]
}

/// Children of dynamic supervisors, which stop together.
pub(crate) async fn together() -> [f64; 1] {
    let mut root = SupervisorSpec::new("root");
    let mut supervisors = Vec::new();
    for _ in 0..SUPERVISORS {
        let spec = DynamicSupervisorSpec::new(name());
        supervisors.push(spec.handle());
        root = root.dynamic(spec);
    }
    let system = ActorSystem::builder("bench").local().start(root).await.expect("a system");
    let mut last = None;
    for supervisor in &supervisors {
        for _ in 0..CHILDREN {
            last = Some(supervisor.spawn_child(ChildSpec::<Counter>::new(name(), ())).expect("no limit"));
        }
    }
    shut_down(system, last.expect("there are some")).await
}

/// Declared children, which stop one after the other.
pub(crate) async fn in_order() -> [f64; 1] {
    let mut root = SupervisorSpec::new("root");
    let mut last = None;
    for _ in 0..SUPERVISORS {
        let mut spec = SupervisorSpec::new(name());
        for _ in 0..CHILDREN {
            let child = ChildSpec::<Counter>::new(name(), ());
            last = Some(child.actor_ref());
            spec = spec.child(child);
        }
        root = root.supervisor(spec);
    }
    let system = ActorSystem::builder("bench").local().start(root).await.expect("a system");
    shut_down(system, last.expect("there are some")).await
}
