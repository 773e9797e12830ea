//! Snapshots of one actor and of the whole tree.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    meta::{ActorId, CrashRecord, Kind, Meta, State, StopReason},
    supervisor::Strategy,
    telemetry::LatencySnapshot,
};

/// The message in an actor's hand.
///
/// ```
/// # use callboard_supervisors::*;
/// # use tokio::sync::oneshot;
/// # struct Courier;
/// # impl Actor for Courier {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Courier) }
/// # }
/// #[derive(Message)]
/// struct Carry(oneshot::Receiver<()>);
///
/// impl Handler<Carry> for Courier {
///     async fn handle(&mut self, Carry(arrived): Carry, _: &mut Context<Self>) {
///         let _ = arrived.await;
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Courier>::new("courier", ());
/// # let courier = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// let (arrive, arrived) = oneshot::channel();
/// courier.tell(Carry(arrived))?;
/// # while courier.snapshot().current.is_none() { tokio::task::yield_now().await; }
/// let current: CurrentMessage = courier.snapshot().current.expect("it is on its way");
/// assert!(current.message_type.ends_with("Carry"));
/// drop(arrive);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CurrentMessage {
    /// Its Rust type.
    pub message_type: &'static str,
    /// How long it has been in hand, at least. For a handler that blocks its thread this counts from the first
    /// snapshot that saw it.
    pub busy: Duration,
}

/// An answer for which an actor's handler waits.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u32)]
/// # struct Price;
/// # #[derive(Message)]
/// # struct Order;
/// # struct Shop;
/// # impl Actor for Shop {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Shop) }
/// # }
/// # impl PlainHandler<Price> for Shop {
/// #     type Reply = u32;
/// #     fn handle(&mut self, _: Price, _: &mut Context<Self>) -> u32 { 3 }
/// # }
/// # struct Clerk(Recipient<Price>);
/// # impl Actor for Clerk {
/// #     type Args = Recipient<Price>;
/// #     async fn start(to: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Clerk(to)) }
/// # }
/// impl Handler<Order> for Clerk {
///     async fn handle(&mut self, _: Order, _: &mut Context<Self>) {
///         println!("{:?}", self.0.ask(Price).await);
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let shop = ChildSpec::<Shop>::new("shop", ());
/// # let supplier = shop.actor_ref();
/// # let clerk = ChildSpec::<Clerk>::new("clerk", supplier.recipient());
/// # let asker = clerk.actor_ref();
/// # let root = SupervisorSpec::new("root").child(shop).child(clerk);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// supplier.suspend(); // closed for lunch
/// asker.tell(Order)?;
/// # while asker.snapshot().waits_for.is_empty() { tokio::task::yield_now().await; }
/// let waiting: WaitingFor = asker.snapshot().waits_for.remove(0);
/// assert_eq!((waiting.actor, waiting.path.as_str()), (supplier.id(), "shop"));
/// assert!(waiting.message_type.ends_with("Price"));
/// supplier.resume();
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WaitingFor {
    /// Who is to answer.
    pub actor: ActorId,
    /// Its path within the system.
    pub path: String,
    /// What was asked.
    pub message_type: &'static str,
    /// For how long.
    pub waiting: Duration,
}

/// One node of the tree, read from atomics: nobody is asked.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u32)]
/// # struct Divide(u32);
/// # struct Fragile;
/// # impl Actor for Fragile {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Fragile) }
/// # }
/// # impl PlainHandler<Divide> for Fragile {
/// #     type Reply = u32;
/// #     fn handle(&mut self, Divide(by): Divide, _: &mut Context<Self>) -> u32 { 12 / by }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Fragile>::new("fragile", ()).mailbox(MailboxSpec::bounded(8));
/// let fragile = spec.actor_ref();
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// fragile.ask(Divide(0)).await.expect_err("it panics");
/// fragile.ask(Divide(3)).await?;
/// let seen: ActorSnapshot = fragile.snapshot();
/// assert_eq!((seen.kind, seen.state, seen.generation), (Kind::Actor, State::Running, 1));
/// assert_eq!((seen.capacity, seen.refused, seen.panics), (8, 0, 1));
/// let reason = seen.last_reason.expect("a generation ended");
/// assert!(reason.to_string().ends_with("attempt to divide by zero"));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ActorSnapshot {
    /// Its identity.
    pub id: ActorId,
    /// Its name below its supervisor.
    pub name: Arc<str>,
    /// Its name within the system.
    pub path: String,
    /// Its Rust type; for supervisors, the strategy's name.
    pub type_name: &'static str,
    /// Actor, supervisor or dynamic supervisor.
    pub kind: Kind,
    /// What it is doing.
    pub state: State,
    /// Counts the restarts, from 0.
    pub generation: u64,
    /// Messages that wait or are in hand. 0 for supervisors, and for adopted actors, whose queue shows nothing.
    pub depth: usize,
    /// How many it holds at most. 0 for supervisors and adopted actors.
    pub capacity: usize,
    /// The most there ever were at a time. 0 for supervisors.
    pub high_water: usize,
    /// Messages refused or dropped for want of room.
    pub refused: u64,
    /// Messages handled, by all generations, those that panicked included.
    pub handled: u64,
    /// Panics of all generations.
    pub panics: u64,
    /// How long its handlers took, from samples. None before the first sample.
    pub latency: Option<LatencySnapshot>,
    /// The thread on which it runs: 0 is the control executor, then the workers. None before it is launched.
    pub executor: Option<usize>,
    /// The message in hand.
    pub current: Option<CurrentMessage>,
    /// The answers for which the handler of the message in hand waits, though not those that come at once. Actors that
    /// wait for each other in a circle are shown so, and are reported.
    pub waits_for: Vec<WaitingFor>,
    /// Why it is gone, or why the generation before this one ended.
    pub last_reason: Option<StopReason>,
    /// The last crash.
    pub last_crash: Option<Arc<CrashRecord>>,
    /// What a supervisor adds.
    pub supervision: Option<SupervisionSnapshot>,
    /// In start order. A dynamic supervisor lists its 256 oldest.
    pub children: Vec<ActorSnapshot>,
}

/// What only supervisors have.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u32)]
/// # struct Divide(u32);
/// # struct Fragile;
/// # impl Actor for Fragile {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Fragile) }
/// # }
/// # impl PlainHandler<Divide> for Fragile {
/// #     type Reply = u32;
/// #     fn handle(&mut self, Divide(by): Divide, _: &mut Context<Self>) -> u32 { 12 / by }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let fragile = ChildSpec::<Fragile>::new("fragile", ());
/// let address = fragile.actor_ref();
/// let root = SupervisorSpec::new("root").child(fragile);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// address.ask(Divide(0)).await.expect_err("it panics");
/// address.ask(Divide(1)).await?;
/// let root = system.root().snapshot();
/// let seen = root.supervision.as_ref().expect("it is a supervisor");
/// assert_eq!((seen.recent_restarts, seen.intensity, seen.crashes), (1, 8, 1));
/// assert_eq!(seen.last_crashes[0].path, "fragile");
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SupervisionSnapshot {
    /// Which children a crash concerns.
    pub strategy: Strategy,
    /// Restarts within the period that ends now.
    pub recent_restarts: usize,
    /// How many it allows within the period.
    pub intensity: usize,
    /// The period.
    pub period: Duration,
    /// The budget was used up and is not free again: it retries at maximum backoff.
    pub exhausted: bool,
    /// How many children there are, listed or not.
    pub child_count: usize,
    /// How many there may be. None where there is no limit.
    pub max_children: Option<usize>,
    /// Ends of children's generations so far.
    pub exits: u64,
    /// How many of them were crashes.
    pub crashes: u64,
    /// The last 16 of these, oldest first.
    pub last_crashes: Vec<Arc<CrashRecord>>,
    /// Exits that could not be told to the recipient of `on_exit`.
    pub unreported_exits: u64,
}

/// The whole tree.
///
/// Nodes are read one after the other while they go on, so a tree that is changing may be seen between two states of
/// it.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u32)]
/// # struct Divide(u32);
/// # struct Fragile;
/// # impl Actor for Fragile {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Fragile) }
/// # }
/// # impl PlainHandler<Divide> for Fragile {
/// #     type Reply = u32;
/// #     fn handle(&mut self, Divide(by): Divide, _: &mut Context<Self>) -> u32 { 12 / by }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let fragile = ChildSpec::<Fragile>::new("fragile", ());
/// let address = fragile.actor_ref();
/// let root = SupervisorSpec::new("root").supervisor(SupervisorSpec::new("inner").child(fragile));
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// address.ask(Divide(0)).await.expect_err("it panics");
/// address.ask(Divide(1)).await?;
///
/// let tree: TreeSnapshot = system.snapshot();
/// let node = tree.find("inner/fragile").expect("it is there");
/// assert_eq!((node.state, node.generation, node.panics), (State::Running, 1, 1));
/// let crash = node.last_crash.as_ref().expect("it crashed");
/// assert!(crash.reason.to_string().ends_with("attempt to divide by zero"));
/// let paths: Vec<&str> = tree.root.walk().map(|node| &*node.path).collect();
/// assert_eq!(paths, ["", "inner", "inner/fragile"]);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TreeSnapshot {
    /// The system's name.
    pub system: Arc<str>,
    /// When it was taken.
    pub at: SystemTime,
    /// The root supervisor.
    pub root: ActorSnapshot,
    /// The work that blocks.
    pub blocking: BlockingSnapshot,
}

/// The work of [`Context::blocking`](crate::Context::blocking) in a system.
///
/// ```
/// # use callboard_supervisors::*;
/// # use std::sync::mpsc;
/// # #[derive(Message)]
/// # struct Read(mpsc::Receiver<String>);
/// # struct Reader;
/// # impl Actor for Reader {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Reader) }
/// # }
/// impl PlainHandler<Read> for Reader {
///     type Reply = Later<()>;
///     fn handle(&mut self, Read(lines): Read, cx: &mut Context<Self>) -> Later<()> {
///         Later::new(cx.blocking(move || lines.iter().for_each(|line| println!("{line}"))))
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Reader>::new("reader", ());
/// # let reader = spec.actor_ref();
/// # let root = SupervisorSpec::new("root").child(spec);
/// let system = ActorSystem::builder("example").executors(1).blocking_threads(2).start(root).await?;
/// let (lines, receiver) = mpsc::channel();
/// reader.tell(Read(receiver))?;
/// # while system.snapshot().blocking.running == 0 { tokio::task::yield_now().await; }
/// let BlockingSnapshot { running, limit, .. } = system.snapshot().blocking;
/// assert_eq!((running, limit), (1, 2));
/// drop(lines); // nothing more to read
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockingSnapshot {
    /// How much is under way.
    pub running: usize,
    /// How much may be.
    pub limit: usize,
}

impl TreeSnapshot {
    /// The node with this path; the empty path is the root.
    pub fn find(&self, path: &str) -> Option<&ActorSnapshot> {
        path.split('/')
            .filter(|name| !name.is_empty())
            .try_fold(&self.root, |node, name| node.children.iter().find(|child| &*child.name == name))
    }
}

impl ActorSnapshot {
    /// What is known of every node, whatever its kind.
    pub(crate) fn of(meta: &Meta) -> Self {
        ActorSnapshot {
            id: meta.id(),
            name: meta.name().clone(),
            path: meta.path(),
            type_name: meta.type_name(),
            kind: meta.kind(),
            state: meta.state(),
            generation: meta.generation(),
            depth: 0,
            capacity: 0,
            high_water: 0,
            refused: 0,
            handled: meta.handled(),
            panics: meta.panics(),
            latency: meta.measured(),
            executor: meta.executor(),
            current: meta.current(),
            waits_for: Vec::new(),
            last_reason: meta.last_reason(),
            last_crash: meta.last_crash(),
            supervision: None,
            children: Vec::new(),
        }
    }

    /// This node and all below it, parents first.
    pub fn walk(&self) -> impl Iterator<Item = &ActorSnapshot> {
        let mut open = vec![self];
        std::iter::from_fn(move || {
            let node = open.pop()?;
            open.extend(node.children.iter().rev());
            Some(node)
        })
    }
}
