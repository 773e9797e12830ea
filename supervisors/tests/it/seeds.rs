//! A seed decides the order of events: the same one repeats it, many find the orders in which something breaks.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use callboard_supervisors::{
    Actor, ActorRef, AskError, Backoff, ChildSpec, Context, Handler, Message, PlainHandler, StartError,
    StopReason, Strategy, SupervisorSpec,
    testkit::{TestSystem, await_generation, await_stopped, explore, run},
};

use crate::{
    probes::failure,
    worker::{Count, Hold, PanicAsync, Worker, ms, steady},
};

type Trace = Arc<Mutex<Vec<String>>>;

/// Writes down what it handles.
struct Racer {
    name: &'static str,
    trace: Trace,
}

impl Actor for Racer {
    type Args = (&'static str, Trace);
    async fn start((name, trace): Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Racer { name, trace })
    }
}

/// A step, and as many more.
#[derive(Message)]
struct Step(u32);

impl Handler<Step> for Racer {
    async fn handle(&mut self, Step(left): Step, cx: &mut Context<Self>) {
        self.trace.lock().expect("no panic").push(format!("{}{left}", self.name));
        if left > 0 {
            cx.myself().tell(Step(left - 1)).expect("room");
        }
    }
}

/// The steps of two racers in the order of this seed.
fn race(seed: u64) -> Vec<String> {
    run(async {
        let trace = Trace::default();
        let mut root = SupervisorSpec::new("root");
        let mut racers = Vec::new();
        for name in ["a", "b"] {
            let racer = ChildSpec::<Racer>::new(name, (name, trace.clone()));
            racers.push(racer.actor_ref());
            root = root.child(racer);
        }
        let system = TestSystem::seeded(seed, root).await;
        racers.iter().for_each(|racer| racer.tell(Step(9)).expect("room"));
        system.settle().await;
        system.shutdown().await;
        std::mem::take(&mut *trace.lock().expect("no panic"))
    })
}

#[test]
fn the_same_seed_gives_the_same_order_and_others_give_others() {
    let mut orders = BTreeSet::new();
    for seed in 0..50 {
        let order = race(seed);
        for name in ["a", "b"] {
            let own: Vec<_> = order.iter().filter(|step| step.starts_with(name)).cloned().collect();
            let all: Vec<_> = (0..10).rev().map(|left| format!("{name}{left}")).collect();
            assert_eq!(own, all, "each for itself goes in order");
        }
        assert_eq!(race(seed), order, "seed {seed}");
        orders.insert(order);
    }
    assert!(orders.len() > 40, "of 50 seeds: {}", orders.len());
}

#[test]
fn the_pauses_of_a_backoff_follow_the_seed() {
    let pause = |seed| {
        run(async {
            let spec = ChildSpec::<Worker>::new("worker", ());
            let worker = spec.actor_ref();
            let backoff = Backoff { jitter: 1.0, min: ms(10_000), max: ms(10_000), ..Backoff::default() };
            let system =
                TestSystem::seeded(seed, SupervisorSpec::new("root").backoff(backoff).child(spec)).await;
            worker.kill();
            let began = tokio::time::Instant::now();
            while worker.ask_within(ms(1), Count).await.is_err() {}
            let pause = began.elapsed();
            system.shutdown().await;
            pause
        })
    };
    assert_eq!(pause(1), pause(1));
    assert_ne!(pause(1), pause(2));
}

/// A balance that is read and written by two messages: whoever comes between has its update lost.
struct Account(u32);

impl Actor for Account {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Account(0))
    }
}

#[derive(Message)]
#[message(reply = u32)]
struct Read;

impl PlainHandler<Read> for Account {
    type Reply = u32;
    fn handle(&mut self, _: Read, _: &mut Context<Self>) -> u32 {
        self.0
    }
}

#[derive(Message)]
struct Write(u32);

impl PlainHandler<Write> for Account {
    type Reply = ();
    fn handle(&mut self, Write(balance): Write, _: &mut Context<Self>) {
        self.0 = balance;
    }
}

/// Pays one in, in the wrong way.
struct Payer(ActorRef<Account>);

impl Actor for Payer {
    type Args = ActorRef<Account>;
    async fn start(account: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Payer(account))
    }
}

#[derive(Message)]
#[message(reply = Result<(), AskError>)]
struct Pay;

impl Handler<Pay> for Payer {
    async fn handle(&mut self, _: Pay, _: &mut Context<Self>) -> Result<(), AskError> {
        let balance = self.0.ask(Read).await?;
        self.0.ask(Write(balance + 1)).await
    }
}

async fn two_payments(seed: u64) {
    let account = ChildSpec::<Account>::new("account", ());
    let address = account.actor_ref();
    let mut root = SupervisorSpec::new("root").child(account);
    let mut payers = Vec::new();
    for name in ["one", "two"] {
        let payer = ChildSpec::<Payer>::new(name, address.clone());
        payers.push(payer.actor_ref());
        root = root.child(payer);
    }
    let system = TestSystem::seeded(seed, root).await;
    for payer in &payers {
        payer.tell(Pay).expect("room");
    }
    system.settle().await;
    assert_eq!(address.ask(Read).await, Ok(2), "a payment was lost");
    system.shutdown().await;
}

#[test]
fn a_race_is_found_and_its_seed_named() {
    // It is a race: it goes well in some orders.
    let lost = |seed| std::panic::catch_unwind(|| run(two_payments(seed))).is_err();
    let losing: Vec<u64> = (0..100).filter(|seed| lost(*seed)).collect();
    assert!((1..100).contains(&losing.len()), "{losing:?}");
    let text = std::panic::catch_unwind(|| explore(0..100, two_payments)).expect_err("it is found");
    let text = text.downcast::<String>().expect("a text");
    let (seed, name) = (losing[0], "CALLBOARD_SEED");
    for part in [&*format!("seed {seed} fails"), &format!("{name}={seed}"), "a payment was lost", "seeds.rs:"]
    {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    assert!(text.contains("it fails so each time"), "{text}");
}

#[test]
fn a_scenario_that_depends_on_something_else_is_told_from_one_that_does_not() {
    let first = Mutex::new(true);
    let scenario = async |_| assert!(!std::mem::take(&mut *first.lock().expect("no panic")), "once");
    let explored = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| explore(0..3, scenario)));
    let text = explored.expect_err("it fails").downcast::<String>().expect("a text");
    assert!(text.contains("seed 0 fails") && text.contains("the second time it passes"), "{text}");
    let none = std::panic::catch_unwind(|| explore(0..0, async |_| ()));
    let text = none.expect_err("it fails").downcast::<String>().expect("a text");
    assert!(text.contains("nothing was explored"), "{text}");
}

/// Runs itself in a process of its own, whose environment can be set.
#[test]
fn the_environment_names_one_seed() {
    if std::env::var_os("CALLBOARD_TEST_SEED_ALONE").is_some() {
        let seen = Mutex::new(Vec::new());
        explore(0..3, async |seed| seen.lock().expect("no panic").push(seed));
        assert_eq!(*seen.lock().expect("no panic"), [41]);
        return;
    }
    let run_with = |seed| {
        let name = "seeds::the_environment_names_one_seed";
        let mut this = std::process::Command::new(std::env::current_exe().expect("a program"));
        this.args(["--exact", name])
            .env("CALLBOARD_SEED", seed)
            .env("CALLBOARD_TEST_SEED_ALONE", "")
            .output()
            .expect("it runs")
    };
    let output = run_with("41");
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
    let output = run_with("no number");
    assert!(!output.status.success(), "{output:?}");
}

#[test]
fn crashes_restarts_and_stops_in_any_order_leave_a_tree_that_works() {
    explore(0..200, async |seed| {
        let mut inner = SupervisorSpec::new("inner").strategy(Strategy::OneForAll).backoff(steady(ms(5)));
        let mut workers = Vec::new();
        for name in ["a", "b", "c"] {
            let spec = ChildSpec::<Worker>::new(name, ());
            workers.push(spec.actor_ref());
            inner = inner.child(spec);
        }
        let handle = inner.handle();
        let root = SupervisorSpec::new("root").supervisor(inner.intensity(100, ms(60_000)));
        let system = TestSystem::seeded(seed, root).await;
        let inner = system.root().child("inner").expect("it was declared");
        let (first, second) = tokio::join!(workers[0].ask(Hold(ms(3))), async {
            workers[0].tell(Count).expect("room");
            workers[1].tell(PanicAsync(true)).expect("room");
            workers[2].kill();
            inner.restart();
            workers[1].restart();
            workers[1].ask(Count).await
        });
        assert!(matches!(first, Ok(1) | Err(AskError::Stopped)), "{first:?}");
        assert!(second.is_ok_and(|(generation, _)| generation >= 1), "{second:?}");
        await_generation(&handle, 1).await;
        for worker in &workers {
            let count = worker.ask(Count).await.expect("it is there again");
            assert!(count.0 >= 1, "{count:?}");
            worker.suspend();
        }
        inner.stop();
        assert_eq!(await_stopped(&inner).await, StopReason::Shutdown);
        assert!(workers.iter().all(|worker| !worker.is_alive()));
        system.shutdown().await;
    });
}

#[test]
fn what_does_not_end_is_dropped_with_the_executor() {
    let text = failure(async {
        let (first, second) = (ChildSpec::<Stays>::new("a", ()), ChildSpec::<Stays>::new("b", ()));
        let shutdown = callboard_supervisors::Shutdown::Infinity;
        let root =
            SupervisorSpec::new("root").child(first.shutdown(shutdown)).child(second.shutdown(shutdown));
        TestSystem::seeded(3, root).await.shutdown().await
    });
    assert!(text.contains("did not stop in 60s"), "{text}");
    run(async {
        let spec = ChildSpec::<Stays>::new("a", ());
        let stays = spec.actor_ref();
        drop(TestSystem::seeded(3, SupervisorSpec::new("root").child(spec)).await);
        assert_eq!(await_stopped(&stays).await, StopReason::Killed);
    });
}

struct Stays;

impl Actor for Stays {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Stays)
    }
    async fn stopping(&mut self, _: &mut Context<Self>) {
        std::future::pending().await
    }
}
