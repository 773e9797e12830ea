//! [`Meta`]: identity, state and counters.

use std::{
    fmt,
    sync::{
        Arc, LazyLock, OnceLock, Weak,
        atomic::{
            AtomicBool, AtomicU8, AtomicU16, AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire,
            Ordering::Relaxed, Ordering::Release,
        },
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    executor::BlockingPool,
    label::Label,
    meta::{CrashRecord, CurrentMessage, Farewell, Place, StopReason, farewell::Farewells},
    telemetry::{ChangeKind, Latency, LatencySnapshot, Telemetry},
};

/// Identifies an actor or a supervisor within the process; the same in every generation, never used again.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let (a, b) = (ChildSpec::<Counter>::new("a", ()), ChildSpec::<Counter>::new("b", ()));
/// # let (first, second) = (a.actor_ref(), b.actor_ref());
/// # let root = SupervisorSpec::new("root").child(a).child(b);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let rooms = std::collections::HashMap::from([(first.id(), "red"), (second.id(), "blue")]);
/// first.restart();
/// assert_eq!(first.ask(Count).await, Ok(1)); // of the next generation
/// assert_eq!(rooms.get(&first.id()), Some(&"red"));
/// let found: ActorId = system.root().child("b").expect("it is there").id();
/// assert_eq!(rooms.get(&found), Some(&"blue"));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActorId(u64);

impl ActorId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        ActorId(NEXT.fetch_add(1, Relaxed))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ActorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a node of the tree is.
///
/// ```
/// # use callboard_supervisors::*;
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let jobs = DynamicSupervisorSpec::new("jobs");
/// let root = SupervisorSpec::new("root").dynamic(jobs);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let tree = system.snapshot();
/// let kinds: Vec<Kind> = tree.root.walk().map(|node| node.kind).collect();
/// assert_eq!(kinds, [Kind::Supervisor, Kind::Dynamic]);
/// assert_eq!(Kind::Dynamic.as_str(), "dynamic");
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// An actor.
    Actor,
    /// A supervisor of declared children.
    Supervisor,
    /// A supervisor of children that come and go.
    Dynamic,
}

impl Kind {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Actor => "actor",
            Kind::Supervisor => "supervisor",
            Kind::Dynamic => "dynamic",
        }
    }
}

/// What an actor or a supervisor is doing.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Idle;
/// # impl Actor for Idle {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Idle) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Idle>::new("idle", ());
/// let idle = spec.actor_ref();
/// assert_eq!(idle.state(), State::Idle);
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// assert_eq!(idle.state(), State::Running);
/// idle.suspend();
/// idle.inspect().await.expect("it lives"); // after the order before it
/// assert_eq!(idle.state(), State::Suspended);
/// idle.stop();
/// idle.watch().await;
/// assert_eq!((idle.state(), idle.state().as_str()), (State::Stopped, "stopped"));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum State {
    /// Declared and not running: not started yet, or its supervisor is down. Its mailbox takes messages.
    Idle,
    /// Its start is under way.
    Starting,
    /// It handles messages.
    Running,
    /// It handles no messages until it is resumed.
    Suspended,
    /// It crashed and waits for its supervisor's verdict, or for the end of a backoff.
    Crashed,
    /// It is stopping.
    Stopping,
    /// It does not end although it was killed: it blocks its thread.
    Stuck,
    /// Gone for good.
    Stopped,
}

impl State {
    const ALL: [State; 8] = [
        State::Idle,
        State::Starting,
        State::Running,
        State::Suspended,
        State::Crashed,
        State::Stopping,
        State::Stuck,
        State::Stopped,
    ];

    /// A generation runs, or starts, or stops.
    pub(crate) fn is_at_work(self) -> bool {
        matches!(self, State::Starting | State::Running | State::Suspended | State::Stopping)
    }

    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Idle => "idle",
            State::Starting => "starting",
            State::Running => "running",
            State::Suspended => "suspended",
            State::Crashed => "crashed",
            State::Stopping => "stopping",
            State::Stuck => "stuck",
            State::Stopped => "stopped",
        }
    }
}

/// What most actors have nothing of.
#[derive(Default)]
struct Rare {
    /// Why it is gone for good, or why the last generation ended.
    reason: Option<StopReason>,
    last_crash: Option<Arc<CrashRecord>>,
    start_error: Option<String>,
    farewells: Farewells,
    /// The end has looked whom to tell.
    parted: bool,
}

/// Counters are written by the actor's thread alone, without read-modify-write.
pub(crate) struct Meta {
    id: ActorId,
    name: Arc<str>,
    type_name: &'static str,
    kind: Kind,
    above: OnceLock<Arc<Place>>,
    state: AtomicU8,
    /// A generation of it has started.
    has_run: AtomicBool,
    generation: AtomicU64,
    handled: AtomicU64,
    panics: AtomicU64,
    /// Address of the [`Label`] of the message in hand; 0 when idle.
    current: AtomicUsize,
    /// Since when, in nanoseconds, it is known that `seen` messages were handled: nobody reads a clock per message.
    seen: AtomicU64,
    seen_at: AtomicU64,
    /// The index of its executor, and one more; 0 before it is launched.
    executor: AtomicU16,
    /// Once a message was measured.
    latency: OnceLock<Box<Latency>>,
    rare: Mutex<Option<Box<Rare>>>,
    /// Told when the state changes.
    changed: Notify,
}

static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since somebody first asked, and at least 1.
pub(crate) fn uptime() -> u64 {
    u64::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

impl Meta {
    pub(crate) fn new(name: Arc<str>, kind: Kind, type_name: &'static str) -> Self {
        Meta {
            id: ActorId::next(),
            name,
            type_name,
            kind,
            above: OnceLock::new(),
            state: AtomicU8::new(State::Idle as u8),
            has_run: AtomicBool::new(false),
            generation: AtomicU64::new(0),
            handled: AtomicU64::new(0),
            panics: AtomicU64::new(0),
            current: AtomicUsize::new(0),
            seen: AtomicU64::new(u64::MAX),
            seen_at: AtomicU64::new(0),
            executor: AtomicU16::new(0),
            latency: OnceLock::new(),
            rare: Mutex::default(),
            changed: Notify::new(),
        }
    }

    pub(crate) fn id(&self) -> ActorId {
        self.id
    }

    pub(crate) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(crate) fn type_name(&self) -> &'static str {
        self.type_name
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Called once, when it is put into the tree.
    pub(crate) fn put_below(&self, place: Arc<Place>) {
        // A second call could only come from a specification used twice, which its types rule out.
        let _ = self.above.set(place);
    }

    pub(crate) fn place(&self) -> Arc<Place> {
        Place::below(self.above.get(), &self.name)
    }

    /// Its system's; before it is put into the tree one of its own.
    pub(crate) fn blocking(&self) -> Arc<BlockingPool> {
        self.above.get().map_or_else(Arc::default, |place| place.blocking().clone())
    }

    /// None before it is put into the tree.
    pub(crate) fn telemetry(&self) -> Option<&Telemetry> {
        self.above.get().map(|place| place.telemetry())
    }

    pub(crate) fn path(&self) -> String {
        Place::path_of(self.above.get(), &self.name)
    }

    pub(crate) fn state(&self) -> State {
        State::ALL.get(usize::from(self.state.load(Acquire))).copied().unwrap_or(State::Stopped)
    }

    /// Whether any generation ever started, also if nobody saw it run.
    pub(crate) fn has_run(&self) -> bool {
        self.has_run.load(Acquire)
    }

    /// Whoever waits for a state hears of it.
    pub(crate) fn set_state(&self, state: State) {
        if matches!(state, State::Running | State::Suspended) {
            self.has_run.store(true, Release);
        }
        if self.state.swap(state as u8, AcqRel) != state as u8 {
            self.tell_state(state);
        }
    }

    fn tell_state(&self, state: State) {
        self.changed.notify_waiters();
        let generation = self.generation();
        self.tell_change(|| ChangeKind::State { state, generation });
    }

    /// Tells the feeds, if there are any.
    pub(crate) fn tell_change(&self, kind: impl FnOnce() -> ChangeKind) {
        if let Some(telemetry) = self.telemetry() {
            telemetry.changed(self.id, || self.path(), kind);
        }
    }

    /// Unless it is gone for good at this very moment: nobody would put that right again.
    pub(crate) fn mark_stuck(&self) {
        let not_gone = |state| (state != State::Stopped as u8).then_some(State::Stuck as u8);
        if self.state.fetch_update(AcqRel, Acquire, not_gone).is_ok() {
            self.tell_state(State::Stuck);
        }
    }

    /// It has ended after all, perhaps just before it was marked.
    pub(crate) fn unmark_stuck(&self, now: State) {
        if self.state.compare_exchange(State::Stuck as u8, now as u8, AcqRel, Relaxed).is_ok() {
            self.tell_state(now);
        }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(crate) fn set_generation(&self, generation: u64) {
        self.generation.store(generation, Relaxed);
    }

    pub(crate) fn executor(&self) -> Option<usize> {
        self.executor.load(Relaxed).checked_sub(1).map(usize::from)
    }

    pub(crate) fn set_executor(&self, index: usize) {
        self.executor.store(u16::try_from(index + 1).unwrap_or(0), Relaxed);
    }

    /// Gives the message's number, from 1.
    pub(crate) fn handling(&self, label: usize) -> u64 {
        let number = self.handled.load(Relaxed) + 1;
        self.current.store(label, Relaxed);
        self.handled.store(number, Relaxed);
        number
    }

    pub(crate) fn latency(&self) -> &Latency {
        self.latency.get_or_init(Box::default)
    }

    /// None: no message was measured yet.
    pub(crate) fn measured(&self) -> Option<LatencySnapshot> {
        self.latency.get().map(|latency| latency.snapshot())
    }

    pub(crate) fn set_current(&self, label: usize) {
        self.current.store(label, Relaxed);
    }

    pub(crate) fn current_type(&self) -> Option<&'static str> {
        Label::lookup(self.current.load(Relaxed))
    }

    /// A handler keeps the actor over an await: worth a look at the clock.
    pub(crate) fn keep_busy(&self) {
        self.see(self.handled.load(Relaxed));
    }

    fn see(&self, handled: u64) {
        self.seen_at.store(uptime(), Relaxed);
        // Whoever reads this sees the time that belongs to it.
        self.seen.store(handled, Release);
    }

    /// The message in hand and how long it has been there at least. A handler that blocks the thread counts from the
    /// first look at it.
    pub(crate) fn current(&self) -> Option<CurrentMessage> {
        let message_type = self.current_type()?;
        let handled = self.handled.load(Relaxed);
        if self.seen.load(Acquire) != handled {
            self.see(handled);
        }
        let busy = Duration::from_nanos(uptime().saturating_sub(self.seen_at.load(Relaxed)));
        Some(CurrentMessage { message_type, busy })
    }

    pub(crate) fn handled(&self) -> u64 {
        self.handled.load(Relaxed)
    }

    pub(crate) fn panics(&self) -> u64 {
        self.panics.load(Relaxed)
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Relaxed);
    }

    pub(crate) fn start_failed(&self, error: String) {
        self.rare(|rare| rare.start_error = Some(error));
    }

    pub(crate) fn take_start_error(&self) -> Option<String> {
        self.rare.lock().as_mut()?.start_error.take()
    }

    pub(crate) fn record(&self, crash: Arc<CrashRecord>) {
        self.tell_change(|| ChangeKind::Crashed(crash.clone()));
        self.rare(|rare| rare.last_crash = Some(crash));
    }

    pub(crate) fn last_crash(&self) -> Option<Arc<CrashRecord>> {
        self.rare.lock().as_ref()?.last_crash.clone()
    }

    pub(crate) fn set_reason(&self, reason: StopReason) {
        self.rare(|rare| rare.reason = Some(reason));
    }

    pub(crate) fn last_reason(&self) -> Option<StopReason> {
        self.rare.lock().as_ref()?.reason.clone()
    }

    /// Gone for good. The lists it is in hear of it first: whoever sees that it has ended finds it in none of them.
    pub(crate) fn end(&self, reason: StopReason) {
        self.set_reason(reason);
        let farewells = self.rare(|rare| {
            rare.parted = true;
            rare.farewells.take()
        });
        for list in farewells.iter().filter_map(Weak::upgrade) {
            list.gone(self.id);
        }
        self.set_state(State::Stopped);
        if let Some(reason) = self.last_reason() {
            self.tell_change(|| ChangeKind::Ended(reason));
        }
    }

    /// Has `list` hear when this is gone for good. False: it is gone already, and nobody will hear of it.
    pub(crate) fn bid_farewell_to(&self, list: Weak<dyn Farewell>) -> bool {
        // Under the lock under which the end looks whom to tell.
        self.rare(|rare| {
            if !rare.parted {
                rare.farewells.add(list);
            }
            !rare.parted
        })
    }

    fn rare<T>(&self, f: impl FnOnce(&mut Rare) -> T) -> T {
        f(self.rare.lock().get_or_insert_default())
    }

    /// Waits until `done` says so of the state.
    pub(crate) async fn wait_until(&self, done: impl Fn(State) -> bool) -> State {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let state = self.state();
            if done(state) {
                return state;
            }
            changed.await;
        }
    }

    /// Waits until it is gone for good.
    pub(crate) async fn watch(&self) -> StopReason {
        self.wait_until(|state| state == State::Stopped).await;
        self.last_reason().unwrap_or(StopReason::Killed)
    }
}
