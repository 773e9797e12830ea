//! This runtime, with supervision, bounds and counters on, as they always are.

use std::{cell::OnceCell, time::Duration};

use callboard_supervisors::{
    Actor, ActorRef, ActorSystem, ActorSystemBuilder, Backoff, ChildSpec, Context, DynamicSupervisor,
    DynamicSupervisorSpec, Handler, MailboxSpec, Message, Overflow, PlainHandler, Restart, StartError,
    SupervisorSpec,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::contender::{ARRIVED, AsyncHandlers, Branch, Contender, Once, Ring, Skynet, name};

/// What stands for no bound: more than any scenario sends.
const UNBOUNDED: usize = 10_000_000;
/// Longer than any sender waits.
const PATIENCE: Duration = Duration::from_secs(60);
/// No pause before a restart.
pub(crate) const AT_ONCE: Backoff = Backoff {
    min: Duration::ZERO,
    max: Duration::ZERO,
    factor: 1.0,
    jitter: 0.0,
    reset_after: Duration::from_secs(10),
};

#[derive(Default)]
pub(crate) struct Counter {
    count: u64,
    next: Option<ActorRef<Counter>>,
}

impl Actor for Counter {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Counter::default())
    }
}

#[derive(Message)]
pub(crate) struct Add;

impl PlainHandler<Add> for Counter {
    type Reply = ();
    fn handle(&mut self, _: Add, _: &mut Context<Self>) {
        self.count += 1;
    }
}

/// A message of which only the newest of each key has to be handled.
#[derive(Message)]
pub(crate) struct AddOnce(pub(crate) u64);

impl PlainHandler<AddOnce> for Counter {
    type Reply = ();
    fn handle(&mut self, _: AddOnce, _: &mut Context<Self>) {
        self.count += 1;
    }
    fn coalesce(AddOnce(key): &AddOnce) -> Option<u64> {
        Some(*key)
    }
}

#[derive(Message)]
struct AddReady;

impl Handler<AddReady> for Counter {
    async fn handle(&mut self, _: AddReady, _: &mut Context<Self>) {
        self.count += 1;
    }
}

#[derive(Message)]
struct AddPending;

impl Handler<AddPending> for Counter {
    async fn handle(&mut self, _: AddPending, _: &mut Context<Self>) {
        Once::default().await;
        self.count += 1;
    }
}

#[derive(Message)]
#[message(reply = u64)]
pub(crate) struct Get;

impl PlainHandler<Get> for Counter {
    type Reply = u64;
    fn handle(&mut self, _: Get, _: &mut Context<Self>) -> u64 {
        self.count
    }
}

#[derive(Message)]
struct Link(ActorRef<Counter>);

impl PlainHandler<Link> for Counter {
    type Reply = ();
    fn handle(&mut self, link: Link, _: &mut Context<Self>) {
        self.next = Some(link.0);
    }
}

#[derive(Message)]
struct Hop(u64);

impl PlainHandler<Hop> for Counter {
    type Reply = ();
    fn handle(&mut self, hop: Hop, _: &mut Context<Self>) {
        match (hop.0, &self.next) {
            (1.., Some(next)) => next.tell(Hop(hop.0 - 1)).expect("there is room"),
            _ => ARRIVED.notify_one(),
        }
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

/// The timer with this period sends how late it was each time.
#[derive(Message)]
pub(crate) struct Tick(pub(crate) Duration, pub(crate) UnboundedSender<Duration>);

impl PlainHandler<Tick> for Counter {
    type Reply = ();
    fn handle(&mut self, Tick(period, lateness): Tick, cx: &mut Context<Self>) {
        let mut last = std::time::Instant::now();
        cx.interval(period, move |_, _| {
            let now = std::time::Instant::now();
            // Nobody may listen any more.
            let _ = lateness.send((now - last).saturating_sub(period));
            last = now;
        });
    }
}

thread_local! {
    /// The system of this run, which has a thread of its own.
    static SYSTEM: OnceCell<(ActorSystem, DynamicSupervisor)> = const { OnceCell::new() };
}

fn running() -> Option<DynamicSupervisor> {
    SYSTEM.with(|system| system.get().map(|(_, supervisor)| supervisor.clone()))
}

/// The supervisor of everything that is started in this run.
pub(crate) async fn supervisor() -> DynamicSupervisor {
    if let Some(supervisor) = running() {
        return supervisor;
    }
    keep(system().await)
}

/// From here on in this run, of so many messages of an actor the handling time of one is measured; 0: of none.
pub(crate) async fn sample_latency(every: u32) {
    keep(start(ActorSystem::builder("bench").sample_latency(every)).await);
}

fn keep((system, supervisor): (ActorSystem, DynamicSupervisor)) -> DynamicSupervisor {
    let kept = SYSTEM.with(|running| running.set((system, supervisor.clone())));
    assert!(kept.is_ok(), "nothing was started before in this run");
    supervisor
}

/// A system on this thread, with a dynamic supervisor that restarts at once and for ever.
pub(crate) async fn system() -> (ActorSystem, DynamicSupervisor) {
    start(ActorSystem::builder("bench")).await
}

async fn start(builder: ActorSystemBuilder) -> (ActorSystem, DynamicSupervisor) {
    let spec = DynamicSupervisorSpec::new("counters")
        .intensity(usize::MAX, Duration::from_millis(1))
        .backoff(AT_ONCE);
    let supervisor = spec.handle();
    let system = builder.local().start(SupervisorSpec::new("root").dynamic(spec)).await;
    (system.expect("a system that is set up rightly"), supervisor)
}

/// A counter below the supervisor of this run.
pub(crate) async fn counter(mailbox: MailboxSpec) -> ActorRef<Counter> {
    let child = ChildSpec::<Counter>::new(name(), ()).mailbox(mailbox).restart(Restart::Permanent);
    supervisor().await.spawn_child(child).expect("a supervisor without a limit")
}

pub(crate) struct Callboard;

impl Contender for Callboard {
    type Address = ActorRef<Counter>;

    async fn start(capacity: Option<usize>) -> Self::Address {
        counter(MailboxSpec::bounded(capacity.unwrap_or(UNBOUNDED)).overflow(Overflow::Block(PATIENCE))).await
    }

    fn offer(address: &Self::Address) -> bool {
        address.tell(Add).is_ok()
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

impl AsyncHandlers for Callboard {
    fn tell_ready(address: &Self::Address) {
        assert!(address.tell(AddReady).is_ok(), "there is room");
    }

    fn tell_pending(address: &Self::Address) {
        assert!(address.tell(AddPending).is_ok(), "there is room");
    }
}

impl Ring for Callboard {
    fn link(address: &Self::Address, next: Self::Address) {
        assert!(address.tell(Link(next)).is_ok(), "there is room");
    }

    fn hop(address: &Self::Address, hops: u64) {
        assert!(address.tell(Hop(hops)).is_ok(), "there is room");
    }
}

#[derive(Clone)]
enum Above {
    Branch(ActorRef<Node>),
    Asker(UnboundedSender<u64>),
}

impl Above {
    fn report(&self, sum: u64) {
        match self {
            Above::Branch(above) => above.tell(Sum(sum)).expect("there is room"),
            Above::Asker(asker) => asker.send(sum).expect("it waits"),
        }
    }
}

struct Node {
    branch: Branch,
    above: Above,
}

impl Node {
    fn begin(supervisor: &DynamicSupervisor, branch: Branch, above: Above) {
        let child = ChildSpec::<Node>::new(name(), (branch, above));
        let child = child.mailbox(MailboxSpec::bounded(UNBOUNDED)).restart(Restart::Temporary);
        supervisor.spawn_child(child).expect("a supervisor without a limit");
    }
}

impl Actor for Node {
    type Args = (Branch, Above);
    async fn start((branch, above): Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        if let Some(number) = branch.leaf() {
            above.report(number);
            cx.stop();
        }
        let supervisor = running().ok_or("there is no system")?;
        for branch in branch.children() {
            Node::begin(&supervisor, branch, Above::Branch(cx.myself()));
        }
        Ok(Node { branch, above })
    }
}

#[derive(Message)]
struct Sum(u64);

impl PlainHandler<Sum> for Node {
    type Reply = ();
    fn handle(&mut self, sum: Sum, cx: &mut Context<Self>) {
        if let Some(sum) = self.branch.add(sum.0) {
            self.above.report(sum);
            cx.stop();
        }
    }
}

impl Skynet for Callboard {
    async fn skynet(sum: UnboundedSender<u64>) {
        Node::begin(&supervisor().await, Branch::ROOT, Above::Asker(sum));
    }
}
