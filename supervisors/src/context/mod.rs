//! The actor's side of the runtime.

mod blocking;
mod cancel;
mod later_messages;
mod stream;

use std::{cell::Cell, future::Future, rc::Rc, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::time::Instant;

use self::cancel::Cancel;
pub use self::stream::StreamHandle;
use crate::{
    actor::Actor,
    core::{Caught, SideWork, Turn},
    meta::ActorId,
    moment,
    reference::{ActorRef, Shared},
    registry::Registry,
};

type Repeated<A> = Box<dyn FnMut(&mut A, &mut Context<A>)>;

/// What an actor knows of itself and asks of the runtime. Owned, so it can be held across an await.
///
/// ```
/// use callboard_supervisors::*;
/// use std::time::Duration;
///
/// #[derive(Message)]
/// struct Refresh;
///
/// struct Cache {
///     value: Option<u32>,
/// }
///
/// /// Stands for a request to somewhere else.
/// async fn fetch() -> u32 {
///     3
/// }
///
/// impl Actor for Cache {
///     type Args = ();
///     async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
///         cx.send_every(Duration::from_secs(60), cx.myself(), || Refresh);
///         cx.after(Duration::from_secs(3600), |_, cx| cx.stop());
///         Ok(Cache { value: None })
///     }
/// }
///
/// impl PlainHandler<Refresh> for Cache {
///     type Reply = ();
///     fn handle(&mut self, _: Refresh, cx: &mut Context<Self>) {
///         // The actor goes on meanwhile; what comes of it gets a turn.
///         cx.spawn_then(fetch(), |value, cache, _| cache.value = Some(value));
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Cache>::new("cache", ());
/// # let cache = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// # cache.ask(Refresh).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
pub struct Context<A: Actor> {
    shared: Arc<Shared<A>>,
    generation: u64,
    started: Vec<SideWork<A>>,
    /// [`Later`](crate::Later) replies under way, once there was one.
    replies: Option<Rc<Cell<usize>>>,
    stopping: bool,
}

impl<A: Actor> Context<A> {
    pub(crate) fn new(shared: Arc<Shared<A>>, generation: u64) -> Self {
        Context { shared, generation, started: Vec::new(), replies: None, stopping: false }
    }

    /// The actor's own address. An actor that keeps it (or a clone) still ends only by an order or by
    /// [`stop`](Self::stop), never because references are dropped.
    pub fn myself(&self) -> ActorRef<A> {
        ActorRef::new(self.shared.clone())
    }

    /// The actor's identity; the same in every generation.
    pub fn id(&self) -> ActorId {
        self.shared.meta.id()
    }

    /// The actor's name below its supervisor.
    pub fn name(&self) -> &str {
        self.shared.meta.name()
    }

    /// The actor's name within the system: the names from below the root down to this one, as in `edges/store`.
    pub fn path(&self) -> String {
        self.shared.meta.path()
    }

    /// The names of the system that this actor is part of.
    pub fn registry(&self) -> &Registry {
        self.shared.registry().expect("it is set when the actor is launched, before it has a context")
    }

    /// Counts the restarts, from 0.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Stops this actor after the current message, orderly: [`Actor::stopping`] runs. A permanent child is then
    /// started again, the others end with [`StopReason::Normal`](crate::StopReason::Normal).
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// Runs a future beside the mailbox, from the end of the current handler on; it is dropped when this generation
    /// ends. A panic in it ends the generation. Nothing bounds how many there are: replies to messages are better
    /// [`Later`](crate::Later) ones, which have a limit.
    pub fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        // No async block: an unwind would drop the future in it, and abort if its `Drop` panics too.
        self.started.push(Caught::new(future.map(|()| None)));
    }

    /// As [`spawn`](Self::spawn), for a reply, which counts until it is done.
    pub(crate) fn spawn_reply(&mut self, future: impl Future<Output = ()> + 'static) {
        let under_way = UnderWay::new(self.replies.get_or_insert_default());
        self.spawn(future.map(move |()| drop(under_way)));
    }

    /// Whether as many replies are under way as may be.
    pub(crate) fn is_replying_enough(&self) -> bool {
        self.replies.as_ref().is_some_and(|replies| replies.get() >= self.shared.mailbox.spec().replies())
    }

    /// Whether any reply is under way.
    pub(crate) fn is_replying(&self) -> bool {
        self.replies.as_ref().is_some_and(|replies| replies.get() > 0)
    }

    /// As [`spawn`](Self::spawn); what the future yields then gets a turn on the actor.
    pub fn spawn_then<T: 'static>(
        &mut self,
        future: impl Future<Output = T> + 'static,
        then: impl FnOnce(T, &mut A, &mut Context<A>) + 'static,
    ) {
        self.started.push(Caught::new(future.map(|output| {
            Some(Box::new(move |actor: &mut A, cx: &mut Context<A>| then(output, actor, cx)) as Turn<A>)
        })));
    }

    /// Runs `f` on the actor after `delay`, unless this generation ends before or the timer is cancelled.
    pub fn after(
        &mut self,
        delay: Duration,
        f: impl FnOnce(&mut A, &mut Context<A>) + 'static,
    ) -> TimerHandle {
        let handle = TimerHandle::default();
        self.at(moment::after(Instant::now(), delay), handle.clone(), f);
        handle
    }

    /// Runs `f` on the actor every `period`, the first time after one period, until this generation ends or the timer
    /// is cancelled. The timer's resolution, and so the shortest period, is a millisecond. Runs that fell due while the
    /// actor was busy are made up for by one, not by many.
    pub fn interval(
        &mut self,
        period: Duration,
        f: impl FnMut(&mut A, &mut Context<A>) + 'static,
    ) -> TimerHandle {
        let handle = TimerHandle::default();
        let period = period.max(Duration::from_millis(1));
        let first = moment::after(Instant::now(), period);
        self.at(first, handle.clone(), tick(first, period, handle.clone(), Box::new(f)));
        handle
    }

    fn at(&mut self, due: Instant, handle: TimerHandle, f: impl FnOnce(&mut A, &mut Context<A>) + 'static) {
        self.started.push(Caught::new(async move {
            if !handle.0.sleep_until(due).await {
                return None;
            }
            Some(Box::new(move |actor: &mut A, cx: &mut Context<A>| {
                if !handle.0.is_cancelled() {
                    f(actor, cx);
                }
            }) as Turn<A>)
        }));
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Side work asked for since the last call.
    pub(crate) fn take_started(&mut self) -> std::vec::Drain<'_, SideWork<A>> {
        self.started.drain(..)
    }

    pub(crate) fn has_started(&self) -> bool {
        !self.started.is_empty()
    }
}

fn tick<A: Actor>(due: Instant, period: Duration, handle: TimerHandle, mut f: Repeated<A>) -> Turn<A> {
    Box::new(move |actor, cx| {
        f(actor, cx);
        if !handle.0.is_cancelled() {
            let due = moment::after(due, period).max(Instant::now());
            cx.at(due, handle.clone(), tick(due, period, handle, f));
        }
    })
}

/// One reply under way, until it is dropped.
struct UnderWay(Rc<Cell<usize>>);

impl UnderWay {
    fn new(count: &Rc<Cell<usize>>) -> Self {
        count.set(count.get() + 1);
        UnderWay(count.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

/// A timer of an actor. Dropping it does nothing: the timer goes on.
///
/// ```
/// # use callboard_supervisors::*;
/// # use std::time::Duration;
/// # #[derive(Message)]
/// # struct Arrived;
/// struct Guard {
///     alarm: TimerHandle,
/// }
///
/// impl Actor for Guard {
///     type Args = ();
///     async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
///         let alarm = cx.after(Duration::from_secs(1), |_, _| panic!("nobody has come"));
///         Ok(Guard { alarm })
///     }
/// }
///
/// impl PlainHandler<Arrived> for Guard {
///     type Reply = ();
///     fn handle(&mut self, _: Arrived, _: &mut Context<Self>) {
///         self.alarm.cancel();
///     }
/// }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Guard>::new("guard", ());
/// # let guard = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// # guard.ask(Arrived).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Default)]
pub struct TimerHandle(Cancel);

impl TimerHandle {
    /// The timer does not fire any more, not even if it fell due already.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
