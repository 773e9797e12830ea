//! Names: who has one, for how long, and who waits for one.

use std::{sync::Barrier, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChildSpec, Context, DynamicSupervisorSpec, Message, NoMoreNames,
    PlainHandler, RegisterError, Restart, StartChildError, StartError, StopReason, SupervisorSpec,
};

use crate::worker::{Count, PanicAsync, Worker, alone, is_send, local, ms, steady};

/// Finds others by their names, already while it starts.
struct Finder {
    found_at_start: Option<ActorRef<Worker>>,
}

impl Actor for Finder {
    type Args = ();

    async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
        let itself = cx.registry().lookup::<Finder>("finder");
        assert_eq!(itself, Some(cx.myself()), "it has its name before it starts");
        Ok(Finder { found_at_start: cx.registry().lookup("worker") })
    }
}

#[derive(Message)]
#[message(reply = Option<ActorRef<Worker>>)]
struct FoundAtStart;

impl PlainHandler<FoundAtStart> for Finder {
    type Reply = Option<ActorRef<Worker>>;
    fn handle(&mut self, _: FoundAtStart, _: &mut Context<Self>) -> Option<ActorRef<Worker>> {
        self.found_at_start.clone()
    }
}

async fn in_threads(root: SupervisorSpec) -> ActorSystem {
    ActorSystem::builder("test").executors(2).start(root).await.expect("a system")
}

fn on_threads<T>(test: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime").block_on(test)
}

#[test]
fn a_name_is_of_one_living_actor_and_of_its_type() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let registry = system.registry();
        registry.register("jobs", &worker).expect("a free name");
        registry.register("jobs", &worker).expect("it has it already");
        registry.register("also", &worker).expect("a second name");
        assert_eq!(registry.lookup("jobs"), Some(worker.clone()));
        assert_eq!(registry.lookup::<Finder>("jobs"), None);
        assert_eq!(registry.handle("jobs"), Some(worker.handle()));
        assert_eq!(registry.names(), ["also".into(), "jobs".into()]);

        let other =
            system.root().start_child(ChildSpec::<Worker>::new("other", ())).await.expect("it starts");
        let taken = registry.register("jobs", &other);
        let error = RegisterError::NameTaken { name: "jobs".to_owned(), path: "worker".to_owned() };
        assert_eq!(taken, Err(error));
        // Free at once, with no turn of anybody in between.
        worker.stop();
        assert_eq!(worker.watch().await, StopReason::Shutdown);
        registry.register("jobs", &other).expect("a free name");
        assert_eq!(registry.lookup("jobs"), Some(other.clone()));
        assert_eq!(registry.names(), ["jobs".into()]);
        assert_eq!(registry.register("late", &worker), Err(RegisterError::Stopped));
        assert_eq!(registry.unregister("jobs"), Some(other.handle()));
        assert_eq!((registry.unregister("jobs"), registry.lookup::<Worker>("jobs")), (None, None));
    });
}

#[test]
fn an_actor_can_be_registered_for_its_type_alone() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let other =
            system.root().start_child(ChildSpec::<Worker>::new("other", ())).await.expect("it starts");
        let registry = system.registry();
        assert_eq!(registry.any::<Worker>(), None);
        registry.register("b", &worker).expect("a free name");
        registry.register("a", &other).expect("a free name");
        assert_eq!(registry.any(), Some(other.clone()), "the first in the order of names");
        registry.register_type(&worker).expect("nobody is it");
        assert_eq!(registry.any(), Some(worker.clone()));
        let taken = registry.register_type(&other);
        assert!(matches!(taken, Err(RegisterError::TypeTaken { .. })), "{taken:?}");
        worker.stop();
        worker.watch().await;
        assert_eq!(registry.any(), Some(other.clone()));
        registry.register_type(&other).expect("it is free again");
        assert_eq!(registry.unregister_type::<Worker>(), Some(other.handle()));
        assert_eq!(registry.unregister_type::<Worker>(), None);
        assert_eq!(registry.any::<Finder>(), None);
    });
}

#[test]
fn a_name_from_a_specification_is_there_before_the_start_and_over_restarts() {
    local(async {
        let worker = ChildSpec::<Worker>::new("worker", ()).registered("worker");
        let finder = ChildSpec::<Finder>::new("finder", ()).registered("finder");
        let (address, finder_address) = (worker.actor_ref(), finder.actor_ref());
        let root = SupervisorSpec::new("root").backoff(steady(ms(10))).child(worker).child(finder);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let registry = system.registry();
        assert_eq!(finder_address.ask(FoundAtStart).await, Ok(Some(address.clone())));
        assert_eq!(address.ask(PanicAsync(true)).await, Err(AskError::Panicked));
        // Between two generations, too.
        assert_eq!(registry.lookup("worker"), Some(address.clone()));
        assert_eq!(address.ask(Count).await, Ok((1, 1)));
        assert_eq!(registry.lookup("worker"), Some(address.clone()));
        // The next generation brings back what somebody took away.
        registry.unregister("worker");
        address.restart();
        assert_eq!(registry.wait_for("worker").await, Ok(address.clone()));
        address.stop();
        address.watch().await;
        assert_eq!(registry.names(), ["finder".into()]);
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn a_child_whose_name_is_taken_does_not_start() {
    local(async {
        let jobs = DynamicSupervisorSpec::new("jobs");
        let handle = jobs.handle();
        let root = SupervisorSpec::new("root").dynamic(jobs);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let spec =
            |name: &str| ChildSpec::<Worker>::new(name, ()).restart(Restart::Transient).registered("one");
        let first = handle.spawn_child(spec("a")).expect("it starts");
        assert_eq!(system.registry().lookup("one"), Some(first.clone()), "at once");
        let second = handle.start_child(spec("b")).await;
        let Err(StartChildError::NotStarted(StopReason::StartFailed(why))) = second else {
            panic!("it must not start: {second:?}")
        };
        assert!(why.contains("`one`") && why.contains("`jobs/a`"), "{why}");
        assert_eq!(system.registry().lookup("one"), Some(first.clone()));
        first.stop();
        first.watch().await;
        let third = handle.start_child(spec("c")).await.expect("the name is free");
        assert_eq!(system.registry().lookup("one"), Some(third));
    });
}

#[test]
fn a_name_can_be_waited_for() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let registry = system.registry().clone();
        is_send(&registry.wait_for::<Worker>("late"));
        // Somebody gives up; nobody else is disturbed by it.
        let given_up = tokio::time::timeout(ms(10), registry.wait_for::<Worker>("late")).await;
        assert!(given_up.is_err());
        let ours = registry.clone();
        let waiting = tokio::task::spawn_local(async move { ours.wait_for::<Worker>("late").await });
        let ours = registry.clone();
        let other_type = tokio::task::spawn_local(async move { ours.wait_for::<Finder>("late").await });
        let ours = registry.clone();
        let any = tokio::task::spawn_local(async move { ours.wait_for_any::<Worker>().await });
        tokio::time::sleep(ms(1)).await;
        assert!(!waiting.is_finished() && !any.is_finished());
        registry.register("late", &worker).expect("a free name");
        assert_eq!(waiting.await.expect("no panic"), Ok(worker.clone()));
        assert_eq!(any.await.expect("no panic"), Ok(worker.clone()));
        assert_eq!(registry.wait_for("late").await, Ok(worker.clone()), "it is there already");
        assert!(!other_type.is_finished());
        // Nobody waits for ever.
        system.shutdown().await;
        assert_eq!(other_type.await.expect("no panic"), Err(NoMoreNames));
        assert_eq!(registry.register("late", &worker), Err(RegisterError::Stopped));
        assert!(registry.names().is_empty());
        let never_run = ChildSpec::<Worker>::new("never", ());
        let refused = registry.register("never", &never_run.actor_ref());
        assert_eq!(refused, Err(RegisterError::SystemStopped));
    });
}

#[test]
fn of_many_that_want_a_name_at_once_one_gets_it() {
    on_threads(async {
        let mut root = SupervisorSpec::new("root");
        let mut workers = Vec::new();
        for n in 0..8 {
            let spec = ChildSpec::<Worker>::new(format!("worker-{n}"), ());
            workers.push(spec.actor_ref());
            root = root.child(spec);
        }
        let system = in_threads(root).await;
        let registry = system.registry().clone();
        for round in 0..50 {
            let (name, barrier) = (format!("name-{round}"), Barrier::new(workers.len()));
            let (registry, name, barrier) = (&registry, name.as_str(), &barrier);
            let got: Vec<bool> = std::thread::scope(|scope| {
                let register = |worker| {
                    scope.spawn(move || {
                        barrier.wait();
                        registry.register(name, worker).is_ok()
                    })
                };
                let threads: Vec<_> = workers.iter().map(register).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            assert_eq!(got.iter().filter(|got| **got).count(), 1, "{got:?}");
            let winner = workers.iter().zip(&got).find(|(_, got)| **got).map(|(worker, _)| worker.clone());
            assert_eq!(registry.lookup(name), winner);
        }
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        assert!(registry.names().is_empty());
    });
}

#[test]
fn an_actor_that_ends_while_it_is_registered_leaves_nothing() {
    on_threads(async {
        let jobs = DynamicSupervisorSpec::new("jobs").placement(callboard_supervisors::Placement::Workers);
        let handle = jobs.handle();
        let system = in_threads(SupervisorSpec::new("root").dynamic(jobs)).await;
        let registry = system.registry();
        for n in 0..200 {
            let spec = ChildSpec::<Worker>::new(n.to_string(), ()).restart(Restart::Temporary);
            let worker = handle.start_child(spec).await.expect("it starts");
            worker.stop();
            // At the same moment; whichever comes first, the name is free in the end.
            let registered = registry.register("one", &worker);
            assert!(matches!(registered, Ok(()) | Err(RegisterError::Stopped)), "{registered:?}");
            worker.watch().await;
            assert_eq!(registry.lookup::<Worker>("one"), None);
        }
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        assert!(registry.names().is_empty());
    });
}
