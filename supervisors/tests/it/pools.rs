//! Pools that keep their size, come what may.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, AskError, ChildSpec, Context, MailboxSpec, Message, Overflow, PlainHandler,
    Pool, PoolSpec, ResizeError, Restart, Routing, SendError, StartError, StartSystemError, State,
    StopReason, SupervisorSpec,
};

use crate::{
    routers::Who,
    worker::{Count, Hold, Panic, PanicAsync, Place, Worker, is_send, local, ms, steady},
};

async fn start(pool: PoolSpec<Worker>) -> (ActorSystem, Pool<Worker>) {
    let handle = pool.pool();
    let root = SupervisorSpec::new("root").pool(pool);
    (ActorSystem::builder("test").local().start(root).await.expect("a system"), handle)
}

fn names(workers: &[ActorRef<Worker>]) -> Vec<String> {
    workers.iter().map(|worker| worker.name().to_owned()).collect()
}

#[test]
fn a_worker_that_crashes_is_restarted_and_one_that_is_gone_is_replaced() {
    local(async {
        let spec = PoolSpec::<Worker>::new("pool", 3, ()).backoff(steady(ms(10)));
        let (system, pool) = start(spec).await;
        is_send(&pool.filled());
        let workers = pool.workers();
        assert_eq!(names(&workers), ["0", "1", "2"]);
        assert_eq!(workers[1].path(), "pool/workers/1");
        assert_eq!(workers[1].ask(PanicAsync(true)).await, Err(AskError::Panicked));
        assert_eq!(workers[1].ask(Count).await, Ok((1, 1)), "the same address");
        assert_eq!(pool.workers(), workers);

        let by_key = pool.router(Routing::consistent_hash(|Who(key)| *key));
        let mut homes = BTreeMap::new();
        for key in 0..100 {
            homes.insert(key, by_key.ask(Who(key)).await.expect("an answer"));
        }
        let in_turn = pool.router(Routing::round_robin());
        for _ in 0..3 {
            pool.workers()[2].stop();
            workers[2].watch().await;
            // Meanwhile the others do it.
            for _ in 0..3 {
                in_turn.ask(Who(0)).await.expect("an answer");
            }
            pool.filled().await.expect("it runs");
        }
        let now = pool.workers();
        assert_eq!(names(&now), ["0", "1", "2"]);
        assert!(now[..2] == workers[..2] && now[2] != workers[2] && !workers[2].is_alive());
        // The new one has the keys of the one before.
        for (key, home) in homes {
            assert_eq!(by_key.ask(Who(key)).await, Ok(home));
        }
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        assert!(pool.workers().is_empty());
    });
}

#[test]
fn workers_that_end_for_good_by_themselves_are_replaced_at_a_pace() {
    local(async {
        let spec = PoolSpec::<Worker>::new("pool", 2, ())
            .worker(|_, worker| worker.restart(Restart::Temporary))
            .backoff(steady(ms(200)));
        let (_system, pool) = start(spec).await;
        let router = pool.router::<Panic>(Routing::round_robin());
        let began = tokio::time::Instant::now();
        for _ in 0..10 {
            let before = pool.workers();
            assert_eq!(router.ask(Panic(Place::Plain)).await, Err(AskError::Panicked));
            while pool.workers() == before {
                tokio::time::sleep(ms(1)).await;
            }
            pool.filled().await.expect("it runs");
        }
        assert!(began.elapsed() >= ms(200) * 10, "a pause before each");
        assert_eq!(pool.supervisor().snapshot().generation, 0);
    });
}

#[test]
fn a_used_up_budget_replaces_all_workers() {
    local(async {
        let spec = PoolSpec::<Worker>::new("pool", 3, ())
            .backoff(steady(ms(1)))
            .intensity(1, Duration::from_secs(60));
        let (system, pool) = start(spec).await;
        let router = pool.router(Routing::round_robin());
        let before = pool.workers();
        for _ in 0..2 {
            assert_eq!(before[0].ask(PanicAsync(true)).await, Err(AskError::Panicked));
        }
        for worker in &before {
            worker.watch().await;
        }
        pool.filled().await.expect("it comes back");
        let after = pool.workers();
        assert!(names(&after) == ["0", "1", "2"] && after.iter().all(|worker| !before.contains(worker)));
        for _ in 0..3 {
            assert!(router.ask(Who(0)).await.is_ok());
        }
        let snapshot = system.snapshot();
        assert_eq!(snapshot.find("pool/workers").map(|workers| workers.generation), Some(1));
        assert_eq!(snapshot.find("pool").map(|pool| pool.generation), Some(0));
    });
}

#[test]
fn a_pool_grows_and_shrinks_within_its_bounds_and_finishes_what_waits() {
    local(async {
        let spec = PoolSpec::<Worker>::new("pool", 2, ()).bounds(1..=5).backoff(steady(ms(10)));
        let (_system, pool) = start(spec).await;
        let router = pool.router::<Who>(Routing::least_busy());
        pool.resize(5).expect("within the bounds");
        pool.filled().await.expect("it runs");
        let five = pool.workers();
        assert_eq!(names(&five), ["0", "1", "2", "3", "4"]);
        assert_eq!(router.members().len(), 5);
        for size in [0, 6] {
            assert_eq!(pool.resize(size), Err(ResizeError::OutOfBounds { size, min: 1, max: 5 }));
        }
        // What waits at those who go is done before they go.
        let slow = || five[4].ask(Hold(ms(100)));
        let (first, second, third, ()) = tokio::join!(slow(), slow(), slow(), async {
            tokio::time::sleep(ms(1)).await;
            pool.resize(1).expect("within the bounds");
            pool.filled().await.expect("it runs");
            assert_eq!(pool.workers(), five[..1]);
            assert!(five[4].is_alive());
        });
        assert_eq!((first, second, third), (Ok(1), Ok(2), Ok(3)));
        for worker in &five[1..] {
            assert_eq!(worker.watch().await, StopReason::Shutdown);
        }
        // One that has not been told yet is taken back.
        pool.resize(2).expect("within the bounds");
        pool.filled().await.expect("it runs");
        let two = pool.workers();
        let (held, ()) = tokio::join!(two[1].ask(Hold(ms(100))), async {
            tokio::time::sleep(ms(1)).await;
            pool.resize(1).expect("within the bounds");
            pool.filled().await.expect("it runs");
            pool.resize(2).expect("within the bounds");
            pool.filled().await.expect("it runs");
        });
        assert_eq!((held, pool.workers()), (Ok(1), two));
    });
}

#[test]
fn one_that_does_not_finish_in_time_goes_anyhow() {
    local(async {
        let spec = PoolSpec::<Worker>::new("pool", 2, ())
            .drain(ms(50))
            .worker(|_, worker| worker.shutdown(callboard_supervisors::Shutdown::Timeout(ms(50))));
        let (_system, pool) = start(spec).await;
        let slow = pool.workers()[1].clone();
        let began = tokio::time::Instant::now();
        let (held, ()) = tokio::join!(slow.ask(Hold(Duration::from_secs(60))), async {
            tokio::time::sleep(ms(1)).await;
            pool.resize(1).expect("within the bounds");
        });
        assert_eq!(held, Err(AskError::Stopped));
        assert_eq!(slow.watch().await, StopReason::Killed);
        assert!(began.elapsed() < Duration::from_secs(1));
    });
}

#[test]
fn a_pool_that_cannot_work_does_not_start() {
    local(async {
        let root = SupervisorSpec::new("root").pool(PoolSpec::<Worker>::new("pool", 9, ()).bounds(1..=4));
        let error = ActorSystem::builder("test").local().start(root).await.expect_err("it is too large");
        assert!(matches!(&error, StartSystemError::Invalid(_)), "{error}");
        assert!(error.to_string().contains("1 to 4"), "{error}");
        let other = PoolSpec::<Worker>::new("pool", 2, ()).worker(|_, _| ChildSpec::new("mine", ()));
        let root = SupervisorSpec::new("root").pool(other);
        let error = ActorSystem::builder("test").local().start(root).await.expect_err("another one");
        assert!(error.to_string().contains("mine"), "{error}");
    });
}

/// Fails or panics as it is told to.
struct Fragile;

impl Actor for Fragile {
    type Args = Arc<AtomicBool>;

    async fn start(fails: Arc<AtomicBool>, _: &mut Context<Self>) -> Result<Self, StartError> {
        if fails.load(SeqCst) { Err("it is told to".into()) } else { Ok(Fragile) }
    }
}

#[test]
fn a_pool_whose_workers_do_not_start_does_not_start() {
    local(async {
        let pool = PoolSpec::<Fragile>::new("pool", 2, Arc::new(AtomicBool::new(true)));
        let handle = pool.pool();
        let root = SupervisorSpec::new("root").pool(pool);
        let error = ActorSystem::builder("test").local().start(root).await.expect_err("its workers fail");
        assert!(error.to_string().contains("worker 0") && error.to_string().contains("told to"), "{error}");
        assert_eq!(handle.filled().await, Err(ResizeError::Stopped));
        assert!(handle.workers().is_empty());
    });
}

#[test]
fn a_replacement_that_does_not_start_is_tried_again() {
    local(async {
        let fails = Arc::new(AtomicBool::new(false));
        let spec = PoolSpec::<Fragile>::new("pool", 2, fails.clone()).backoff(steady(ms(10)));
        let pool = spec.pool();
        let root = SupervisorSpec::new("root").pool(spec);
        let _system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        fails.store(true, SeqCst);
        pool.workers()[0].stop();
        // Several tries, none of which costs anything of a budget.
        tokio::time::sleep(ms(500)).await;
        assert_eq!((pool.workers().len(), pool.supervisor().snapshot().generation), (1, 0));
        assert_eq!(pool.supervisor().state(), State::Running);
        fails.store(false, SeqCst);
        pool.filled().await.expect("it runs");
    });
}

#[test]
fn a_factory_that_panics_costs_the_keeper_a_generation_and_no_worker() {
    local(async {
        let (calls, bomb) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (counted, set) = (calls.clone(), bomb.clone());
        let spec = PoolSpec::<Worker>::with("pool", 3, move |_| {
            counted.fetch_add(1, SeqCst);
            assert!(!set.swap(false, SeqCst), "a bomb in a factory");
        });
        let (system, pool) = start(spec.backoff(steady(ms(10)))).await;
        assert_eq!(calls.load(SeqCst), 3);
        let before = pool.workers();
        bomb.store(true, SeqCst);
        before[1].stop();
        before[1].watch().await;
        pool.filled().await.expect("it runs");
        let after = pool.workers();
        assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
        assert_ne!(after[1], before[1]);
        let snapshot = system.snapshot();
        assert_eq!(snapshot.find("pool/keeper").map(|keeper| keeper.generation), Some(1));
        // Also the surplus of a size that was changed while the keeper was away goes.
        system.root().child("pool/keeper").expect("it is there").kill();
        pool.resize(1).expect("within the bounds");
        after[2].watch().await;
        pool.filled().await.expect("it runs");
        assert_eq!(pool.workers(), after[..1]);
    });
}

#[test]
fn a_pool_that_stops_in_the_middle_leaves_nobody_waiting() {
    local(async {
        let (system, pool) = start(PoolSpec::<Worker>::new("pool", 2, ())).await;
        let router = pool.router(Routing::round_robin());
        let holds = pool.router(Routing::round_robin());
        let asks = futures_util::future::join_all((0..6).map(|_| holds.ask(Hold(ms(100)))));
        let (asked, ()) = tokio::join!(asks, async {
            tokio::time::sleep(ms(1)).await;
            pool.resize(4).expect("within the bounds");
            pool.supervisor().stop();
        });
        // Those in hand are finished, the others hear of it.
        let (done, refused): (Vec<_>, Vec<_>) = asked.into_iter().partition(Result::is_ok);
        assert!(done.len() >= 2 && refused.iter().all(|answer| *answer == Err(AskError::Stopped)));
        assert_eq!(pool.supervisor().watch().await, StopReason::Shutdown);
        assert_eq!(pool.filled().await, Err(ResizeError::Stopped));
        assert_eq!(pool.resize(2), Err(ResizeError::Stopped));
        assert!(pool.workers().is_empty() && router.members().is_empty());
        let back = router.tell(Who(1));
        assert!(matches!(back, Err(SendError::Stopped(Who(1)))), "{back:?}");
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn a_pool_whose_parts_somebody_stops_does_not_pretend_to_be_filled() {
    local(async {
        for part in ["workers", "keeper"] {
            let (system, pool) = start(PoolSpec::<Worker>::new("pool", 2, ())).await;
            let (waiting, ()) = tokio::join!(
                async {
                    pool.workers()[0].stop();
                    pool.workers()[0].watch().await;
                    pool.filled().await
                },
                async {
                    tokio::time::sleep(ms(1)).await;
                    system.root().child(&format!("pool/{part}")).expect("it is there").stop();
                }
            );
            assert_eq!(waiting, Err(ResizeError::Stopped), "{part}");
            assert_eq!(pool.resize(3), Err(ResizeError::Stopped), "{part}");
            assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        }
    });
}

/// Counts itself.
#[derive(Message)]
struct Counted(Arc<AtomicUsize>);

impl PlainHandler<Counted> for Worker {
    type Reply = ();
    fn handle(&mut self, Counted(count): Counted, _: &mut Context<Self>) {
        count.fetch_add(1, SeqCst);
    }
}

#[test]
fn senders_on_many_threads_lose_nothing_while_the_pool_changes_its_size() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime().block_on(async {
        let spec = PoolSpec::<Worker>::new("pool", 4, ())
            .bounds(1..=8)
            .backoff(steady(ms(1)))
            .worker(|_, worker| worker.mailbox(MailboxSpec::bounded(64).overflow(Overflow::Reject)));
        let pool = spec.pool();
        let root = SupervisorSpec::new("root").pool(spec);
        let system = ActorSystem::builder("test").executors(2).start(root).await.expect("a system");
        let (handled, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let stop = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = [Routing::round_robin(), Routing::least_busy()]
            .into_iter()
            .map(|routing| {
                let (router, handled) = (pool.router(routing), handled.clone());
                let (taken, stop) = (taken.clone(), stop.clone());
                let ask_on = async move {
                    while !stop.load(SeqCst) {
                        // An answer says that it was handled; without one it was given back or cut off.
                        if router.ask(Counted(handled.clone())).await.is_ok() {
                            taken.fetch_add(1, SeqCst);
                        }
                    }
                };
                std::thread::spawn(move || runtime().block_on(ask_on))
            })
            .collect();
        for size in [8, 1, 5, 2, 8, 3, 7, 1, 4] {
            // Two at once; one of them is the last.
            let other = pool.clone();
            let racing = std::thread::spawn(move || other.resize(6));
            assert_eq!(pool.resize(size), Ok(()));
            assert_eq!(racing.join().expect("no panic"), Ok(()));
            pool.filled().await.expect("it runs");
            let before = taken.load(SeqCst);
            while taken.load(SeqCst) == before {
                tokio::task::yield_now().await;
            }
        }
        stop.store(true, SeqCst);
        for sender in senders {
            sender.join().expect("no panic");
        }
        pool.resize(4).expect("within the bounds");
        pool.filled().await.expect("it runs");
        assert_eq!(names(&pool.workers()), ["0", "1", "2", "3"]);
        assert!(handled.load(SeqCst) >= taken.load(SeqCst) && taken.load(SeqCst) > 0);
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

/// As many as there should be, but not those.
#[test]
fn a_pool_is_not_filled_while_one_is_missing_and_another_one_too_many() {
    local(async {
        // A drain limit beyond all time is none.
        let (system, pool) = start(PoolSpec::<Worker>::new("pool", 4, ()).drain(Duration::MAX)).await;
        let before = pool.workers();
        before[0].stop();
        before[0].watch().await;
        pool.resize(3).expect("within the bounds");
        pool.filled().await.expect("it runs");
        assert_eq!(names(&pool.workers()), ["0", "1", "2"]);
        assert_eq!(before[3].watch().await, StopReason::Shutdown);
        assert_eq!(pool.supervisor().snapshot().supervision.map(|pool| pool.crashes), Some(0));
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}
