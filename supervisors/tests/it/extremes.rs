//! Times without an end, and systems that do not begin.

use std::{fs, thread, time::Duration};

use callboard_supervisors::{
    Actor, ActorSystem, ChildSpec, Context, Message, PlainHandler, PoolSpec, ShutdownPlan, StartError,
    StartSystemError, SupervisorSpec,
    testkit::{Probe, Signal, run},
};

use crate::worker::{Count, Worker, alone, local};

#[derive(Message)]
struct Never;

/// Sets every timer to a time that does not come.
#[derive(Message)]
#[message(reply = u64)]
struct Wait;

struct Patient;

impl Actor for Patient {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Patient)
    }
}

impl PlainHandler<Never> for Patient {
    type Reply = ();
    fn handle(&mut self, _: Never, _: &mut Context<Self>) {
        unreachable!("it is sent after the end of time");
    }
}

impl PlainHandler<Wait> for Patient {
    type Reply = u64;
    fn handle(&mut self, _: Wait, cx: &mut Context<Self>) -> u64 {
        cx.after(Duration::MAX, |_, _| unreachable!("after the end of time"));
        cx.interval(Duration::MAX, |_, _| unreachable!("after the end of time"));
        cx.send_after(Duration::MAX, cx.myself(), Never);
        cx.send_every(Duration::MAX, cx.myself(), || Never);
        cx.generation()
    }
}

#[test]
fn timers_may_be_set_to_the_end_of_time() {
    local(async {
        let spec = ChildSpec::<Patient>::new("patient", ());
        let patient = spec.actor_ref();
        let root = SupervisorSpec::new("root").child(spec);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        assert_eq!(patient.ask(Wait).await, Ok(0));
        assert_eq!(patient.ask_within(Duration::MAX, Wait).await, Ok(0));
        tokio::time::sleep(Duration::from_secs(86_400)).await;
        assert_eq!(patient.ask(Wait).await, Ok(0));
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
    });
}

#[test]
fn a_shutdown_and_its_phases_may_take_for_ever() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        assert_eq!(worker.ask(Count).await, Ok((0, 1)));
        let inner = ActorSystem::clone(&system);
        let plan = ShutdownPlan::new(Duration::MAX).phase("all", Duration::MAX, ["worker"]);
        assert!(inner.shutdown(plan).await.is_clean());
        assert!(inner.shutdown(Duration::MAX).await.is_clean());
    });
}

#[test]
fn a_pool_may_drain_for_ever() {
    local(async {
        let spec = PoolSpec::<Worker>::new("pool", 2, ()).drain(Duration::MAX);
        let pool = spec.pool();
        let root = SupervisorSpec::new("root").pool(spec);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let last = pool.workers().remove(1);
        pool.resize(1).expect("within the bounds");
        last.watch().await;
        let keeper = system.snapshot().find("pool/keeper").map(|keeper| keeper.generation);
        assert_eq!(keeper, Some(0));
        assert!(system.shutdown(Duration::from_secs(60)).await.is_clean());
    });
}

#[test]
fn a_probe_may_wait_for_ever() {
    run(async {
        let mut probe = Probe::<Never>::new("probe");
        probe.recipient().tell(Never).expect("room");
        probe.expect_within(Duration::MAX).await;
    });
}

/// Threads of this process whose names begin so.
#[cfg(target_os = "linux")]
fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").expect("the threads");
    let names = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|comm| comm.starts_with(name)).count()
}

/// Starts for ever; its end is heard.
struct Endless;

struct Told(Signal);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.fire(());
    }
}

impl Actor for Endless {
    type Args = [Signal; 2];
    async fn start([began, ended]: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
        let _told = Told(ended);
        began.fire(());
        std::future::pending().await
    }
}

#[test]
fn a_start_that_nobody_waits_for_any_more_is_killed() {
    // Not on the paused clock: what is waited for happens on other threads.
    let runtime = tokio::runtime::LocalRuntime::new().expect("a runtime");
    runtime.block_on(async {
        let [began, ended] = [Signal::new(), Signal::new()];
        let spec = ChildSpec::<Endless>::new("endless", [began.clone(), ended.clone()]);
        let root = SupervisorSpec::new("root").child(spec);
        let starting = ActorSystem::builder("test").executors(1).start(root);
        tokio::select! {
            biased;
            _ = starting => unreachable!("it starts for ever"),
            () = began.wait() => {}
        }
        ended.wait().await;
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_system_that_does_not_start_leaves_no_thread() {
    local(async {
        let builder = ActorSystem::builder("stillborn").executors(2);
        let error = builder.start(SupervisorSpec::new("a/b")).await.expect_err("a slash");
        assert!(matches!(error, StartSystemError::Invalid(_)), "{error}");
        // They end by themselves, and nobody can await them. A thread that stays hangs this test.
        while threads("stillborn") > 0 {
            thread::yield_now();
        }
    });
}
