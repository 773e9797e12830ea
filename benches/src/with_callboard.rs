//! This runtime, with supervision, bounds and counters on, as they always are.

use std::{cell::OnceCell, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, Backoff, ChildSpec, Context, DynamicSupervisor, DynamicSupervisorSpec,
    Handler, MailboxSpec, Message, Overflow, PlainHandler, Restart, StartError, SupervisorSpec,
};

use crate::contender::Contender;

/// What stands for no bound: more than any scenario sends.
const UNBOUNDED: usize = 10_000_000;
/// Longer than any sender waits.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Counter(u64);

impl Actor for Counter {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Counter(0))
    }
}

#[derive(Message)]
struct Add;

impl PlainHandler<Add> for Counter {
    type Reply = ();
    fn handle(&mut self, _: Add, _: &mut Context<Self>) {
        self.0 += 1;
    }
}

#[derive(Message)]
struct AddAsync;

impl Handler<AddAsync> for Counter {
    async fn handle(&mut self, _: AddAsync, _: &mut Context<Self>) {
        self.0 += 1;
    }
}

#[derive(Message)]
#[message(reply = u64)]
struct Get;

impl PlainHandler<Get> for Counter {
    type Reply = u64;
    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.0
    }
}

#[derive(Message)]
pub(crate) struct Break;

impl PlainHandler<Break> for Counter {
    type Reply = ();
    fn handle(&mut self, _: Break, _: &mut Context<Self>) {
        panic!("{}", crate::EXPECTED_PANIC);
    }
}

thread_local! {
    /// The system of this run, which has a thread of its own.
    static SYSTEM: OnceCell<(ActorSystem, DynamicSupervisor)> = const { OnceCell::new() };
}

async fn supervisor() -> DynamicSupervisor {
    if let Some(supervisor) = SYSTEM.with(|system| system.get().map(|(_, supervisor)| supervisor.clone())) {
        return supervisor;
    }
    let at_once = Backoff { min: Duration::ZERO, max: Duration::ZERO, jitter: 0.0, ..Backoff::default() };
    let spec = DynamicSupervisorSpec::new("counters")
        .intensity(usize::MAX, Duration::from_millis(1))
        .backoff(at_once);
    let supervisor = spec.handle();
    let system = ActorSystem::builder("bench").local().start(SupervisorSpec::new("root").dynamic(spec)).await;
    let system = system.expect("a system that is set up rightly");
    SYSTEM.with(|kept| drop(kept.set((system, supervisor.clone()))));
    supervisor
}

/// `ASYNC`: with an async handler, which is ready at once.
pub(crate) struct Callboard<const ASYNC: bool>;

impl<const ASYNC: bool> Contender for Callboard<ASYNC> {
    type Address = ActorRef<Counter>;

    async fn start(capacity: Option<usize>) -> Self::Address {
        let mailbox = MailboxSpec::bounded(capacity.unwrap_or(UNBOUNDED)).overflow(Overflow::Block(PATIENCE));
        let child = ChildSpec::<Counter>::new(crate::name(), ()).mailbox(mailbox).restart(Restart::Permanent);
        supervisor().await.spawn_child(child).expect("a supervisor without a limit")
    }

    fn tell(address: &Self::Address) {
        let told = if ASYNC { address.tell(AddAsync).is_ok() } else { address.tell(Add).is_ok() };
        assert!(told, "there is room");
    }

    async fn send(address: &Self::Address) {
        assert!(address.send(Add).await.is_ok(), "there is room in time");
    }

    async fn ask(address: &Self::Address) -> u64 {
        address.ask(Get).await.expect("an answer")
    }

    async fn stop(address: Self::Address) {
        address.stop();
        address.watch().await;
    }
}
