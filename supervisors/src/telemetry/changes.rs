//! [`ChangeFeed`]: what happens in a system, as it happens.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use futures_util::{Stream, stream::unfold};
use parking_lot::Mutex;
use tokio::sync::broadcast::{Receiver, Sender, channel, error::RecvError};

use crate::meta::{ActorId, CrashRecord, State, StopReason};

/// Changes that a feed keeps for a slow reader.
const KEPT: usize = 4096;

/// Something happened to an actor or a supervisor.
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
/// # let spec = ChildSpec::<Fragile>::new("fragile", ());
/// # let fragile = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// let mut changes = system.changes();
/// fragile.ask(Divide(0)).await.expect_err("it panics");
/// let mut change: Change = changes.next().await.expect("the system runs")?;
/// while change.actor != fragile.id() {
///     change = changes.next().await.expect("the system runs")?; // the root has just begun to run
/// }
/// assert_eq!(change.path, "fragile");
/// let next = changes.next().await.expect("the system runs")?;
/// assert_eq!(next.number, change.number + 1);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// Counts the changes of a system that somebody could have read, from 0, without gaps.
    pub number: u64,
    /// When.
    pub at: SystemTime,
    /// To whom.
    pub actor: ActorId,
    /// Its path within the system; empty for the root.
    pub path: String,
    /// What.
    pub kind: ChangeKind,
}

/// What happened.
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
/// # let spec = ChildSpec::<Fragile>::new("fragile", ()).restart(Restart::Temporary);
/// # let fragile = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// let mut changes = system.changes();
/// fragile.ask(Divide(0)).await.expect_err("it panics");
/// let reason = loop {
///     match changes.next().await.expect("the system runs")?.kind {
///         ChangeKind::Crashed(crash) => assert_eq!((crash.path.as_str(), crash.generation), ("fragile", 0)),
///         ChangeKind::Ended(reason) => break reason, // a temporary child does not come back
///         _ => {}
///     }
/// };
/// assert!(reason.to_string().ends_with("attempt to divide by zero"));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It is in this state now.
    State {
        /// The new state.
        state: State,
        /// In which generation.
        generation: u64,
    },
    /// It panicked, did not start, or gave up.
    Crashed(Arc<CrashRecord>),
    /// It is gone for good.
    Ended(StopReason),
    /// Its ask closed a circle of actors that wait for each other's answers.
    WaitCircle {
        /// The one that was asked, the one that this one asks, and so on, up to the one whose ask closed the circle.
        paths: Vec<String>,
    },
    /// It has been in one message for longer than the [watchdog](crate::ActorSystemBuilder::watchdog)'s limit. Told
    /// once for each message.
    Stalled {
        /// The message's Rust type.
        message_type: &'static str,
        /// For how long at least.
        busy: Duration,
        /// It blocks its thread, and so all actors on it; otherwise its handler awaits something.
        blocks_thread: bool,
    },
}

#[derive(Default)]
struct Open {
    /// Once somebody has listened: room for so many changes is some 600 kB.
    sender: Option<Sender<Change>>,
    next: u64,
}

/// The sending side. Costs one load where nobody listens.
pub(crate) struct Changes {
    open: Mutex<Option<Open>>,
    listeners: Arc<AtomicUsize>,
}

impl Default for Changes {
    fn default() -> Self {
        Changes { open: Mutex::new(Some(Open::default())), listeners: Arc::default() }
    }
}

impl Changes {
    pub(crate) fn listen(&self) -> ChangeFeed {
        self.listeners.fetch_add(1, Relaxed);
        let receiver = match &mut *self.open.lock() {
            Some(open) => open.sender.get_or_insert_with(|| channel(KEPT).0).subscribe(),
            // Closed already: the sender is dropped at once.
            None => channel(1).1,
        };
        ChangeFeed { receiver, listeners: self.listeners.clone() }
    }

    pub(super) fn tell(
        &self,
        actor: ActorId,
        path: impl FnOnce() -> String,
        kind: impl FnOnce() -> ChangeKind,
    ) {
        if self.listeners.load(Relaxed) == 0 {
            return;
        }
        let (at, path, kind) = (SystemTime::now(), path(), kind());
        let mut open = self.open.lock();
        if let Some(Open { sender: Some(sender), next }) = &mut *open {
            let change = Change { number: *next, at, actor, path, kind };
            *next += 1;
            // Whoever listened may have gone meanwhile.
            let _ = sender.send(change);
        }
    }

    /// Feeds end when they have been read to the end.
    pub(crate) fn close(&self) {
        let open = self.open.lock().take();
        // Not under the lock: it wakes the readers.
        drop(open);
    }
}

/// The changes of a system, from the moment on at which it was asked for: see
/// [`ActorSystem::changes`](crate::ActorSystem::changes).
///
/// ```
/// # use callboard_supervisors::*;
/// #[derive(Message)]
/// struct Happened(Change);
///
/// /// Writes down what happens in a system.
/// struct Chronicle;
///
/// impl Actor for Chronicle {
///     type Args = ();
///     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Chronicle) }
/// }
///
/// impl PlainHandler<Happened> for Chronicle {
///     type Reply = ();
///     fn handle(&mut self, Happened(change): Happened, _: &mut Context<Self>) {
///         println!("{} `{}`: {:?}", change.number, change.path, change.kind);
///     }
/// }
///
/// #[derive(Message)]
/// struct Follow(ChangeFeed);
///
/// impl PlainHandler<Follow> for Chronicle {
///     type Reply = ();
///     fn handle(&mut self, Follow(feed): Follow, cx: &mut Context<Self>) {
///         use futures_util::StreamExt;
///         // Gaps are passed over here; a snapshot would fill them.
///         cx.attach(feed.into_stream().filter_map(async |change| change.ok().map(Happened)));
///     }
/// }
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Chronicle>::new("chronicle", ());
/// let chronicle = spec.actor_ref();
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// chronicle.ask(Follow(system.changes())).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct ChangeFeed {
    receiver: Receiver<Change>,
    listeners: Arc<AtomicUsize>,
}

impl Drop for ChangeFeed {
    fn drop(&mut self) {
        self.listeners.fetch_sub(1, Relaxed);
    }
}

/// A reader was so slow that it missed changes. The next ones it gets are the oldest that are kept; what it should
/// believe of the rest is in a [snapshot](crate::ActorSystem::snapshot).
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Idle;
/// # impl Actor for Idle {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Idle) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let jobs = DynamicSupervisorSpec::new("jobs");
/// # let supervisor = jobs.handle();
/// # let root = SupervisorSpec::new("root").dynamic(jobs);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let mut changes = system.changes();
/// for _ in 0..1_500 {
///     let job = supervisor.start_child(ChildSpec::<Idle>::new("job", ()).restart(Restart::Temporary)).await?;
///     job.stop();
///     job.watch().await;
/// }
/// system.shutdown(std::time::Duration::from_secs(5)).await;
/// // Much has happened while nobody read.
/// let Some(Err(Missed(count))) = changes.next().await else { panic!("all of it was kept") };
/// let oldest = changes.next().await.expect("there is more")?;
/// assert_eq!(oldest.number, count); // the numbers before it are those that were missed
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} changes were missed")]
pub struct Missed(pub u64);

impl ChangeFeed {
    /// The next change. None: the system has ended, and all is read. Dropping the future loses nothing.
    ///
    /// # Errors
    /// When the reader is more than 4096 changes behind; it can read on.
    pub async fn next(&mut self) -> Option<Result<Change, Missed>> {
        match self.receiver.recv().await {
            Ok(change) => Some(Ok(change)),
            Err(RecvError::Lagged(missed)) => Some(Err(Missed(missed))),
            Err(RecvError::Closed) => None,
        }
    }

    /// The same as a stream, for example for [`Context::attach`](crate::Context::attach).
    pub fn into_stream(self) -> impl Stream<Item = Result<Change, Missed>> + Send {
        unfold(self, |mut feed| async move { Some((feed.next().await?, feed)) })
    }
}
