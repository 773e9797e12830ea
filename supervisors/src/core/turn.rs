//! [`Core`]: the actor's loop body.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context as Task, Poll, ready},
};

use tracing::Span;

use crate::{
    actor::{Actor, StartError},
    context::Context,
    core::{Caught, Running, Seat, Sides, bury, exclusive::run_stopping},
    envelope::Boxed,
    label::{Label, Labelled},
    meta::{State, uptime},
    reference::Shared,
    task::{ActorLoop, ORDERS, STOP, SUSPEND},
    telemetry::{Sender, Telemetry, UndeliveredReason, span_of},
    waiting::asking,
};

/// Messages and turns before the actor lets its neighbours on the thread have theirs.
const BUDGET: usize = 128;

/// The user's actor, the messages in its hand and its side work.
pub struct Core<A: Actor> {
    pub(super) shared: Arc<Shared<A>>,
    /// `None` only while it is dropped.
    args: Option<Box<A::Args>>,
    seat: Option<Box<Seat<A>>>,
    pub(super) hand: VecDeque<Boxed<A>>,
    /// A future that holds the actor.
    pending: Option<Running<A>>,
    /// The generation has begun.
    begun: bool,
    sides: Option<Box<Sides<A>>>,
    /// Of the message in hand, or of the last one.
    label: &'static Label,
    /// The stop hook has begun.
    closing: bool,
    /// A message is measured if its number and this have no bit in common.
    sample_mask: u64,
    /// The message in hand is measured since then; 0: it is not.
    measured: u64,
}

impl<A: Actor> Core<A> {
    /// The message that is about to be handled has this label and sender. Gives its span, if anybody wants to see it.
    #[inline]
    pub(crate) fn announce(&mut self, label: &'static Label, sender: Sender) -> Option<Box<Span>> {
        self.show(label);
        let number = self.shared.meta.handling(label.address());
        if number & self.sample_mask == 0 {
            self.measured = uptime();
        }
        span_of(label, || self.shared.meta.path(), sender)
    }

    /// Makes a label findable that is not the last one.
    #[inline]
    pub(super) fn show(&mut self, label: &'static Label) {
        if !std::ptr::eq(self.label, label) {
            self.label = label;
            label.publish();
        }
    }

    /// Keeps `future` where a panic cannot drop it, polls it once, and takes the seat back if it is done.
    pub(crate) fn exclusive(
        &mut self,
        future: impl Future<Output = Result<Box<Seat<A>>, StartError>> + 'static,
        task: &mut Task<'_>,
    ) {
        let id = self.shared.meta.id();
        let running = self.pending.insert(Caught::new(future));
        if let Poll::Ready(done) = asking(id, || Pin::new(running).poll(task)) {
            self.finish();
            self.home(done);
        }
    }

    /// The future that held the actor is done.
    #[inline]
    fn finish(&mut self) {
        if let Some(running) = self.pending.take() {
            running.discard();
        }
    }

    /// An ask that nobody waits for any more is skipped.
    pub(crate) fn skip(&mut self, envelope: Boxed<A>) {
        self.shared.lose(envelope, UndeliveredReason::Abandoned);
    }

    pub(crate) fn seat(&mut self) -> Option<&mut Seat<A>> {
        self.seat.as_deref_mut()
    }

    pub(crate) fn leave_seat(&mut self) -> Option<Box<Seat<A>>> {
        self.seat.take()
    }

    pub(crate) fn is_home(&self) -> bool {
        self.seat.is_some()
    }

    /// The seat is back, or there will be none.
    pub(crate) fn home(&mut self, done: Result<Box<Seat<A>>, StartError>) {
        match done {
            Ok(seat) => {
                self.seat = Some(seat);
                if self.shared.meta.state() == State::Starting {
                    self.shared.started();
                }
                self.collect();
                self.measure();
            }
            Err(error) => {
                let text = error.to_string();
                bury(error);
                self.shared.meta.start_failed(text);
            }
        }
    }

    /// Starts a generation.
    pub(crate) fn begin(&mut self, task: &mut Task<'_>) {
        let Some(args) = self.args.as_deref().cloned() else { return };
        self.sample_mask = self.shared.meta.telemetry().map_or(u64::MAX, Telemetry::sample_mask);
        let shared = self.shared.clone();
        let start = async move {
            let generation = shared.meta.generation();
            #[cfg(feature = "testkit")]
            shared.script.lock().start()?;
            let mut cx = Context::new(shared, generation);
            let actor = A::start(args, &mut cx).await?;
            Ok(Box::new(Seat { actor, cx }))
        };
        self.exclusive(start, task);
    }

    /// Takes over what the actor asked for through its context.
    fn collect(&mut self) {
        let Some(seat) = self.seat.as_mut() else { return };
        if seat.cx.has_started() {
            self.sides.get_or_insert_default().add(seat.cx.take_started());
        }
    }

    /// Polls the future that holds the actor, if there is one; side work goes on meanwhile.
    fn wait(&mut self, task: &mut Task<'_>) -> Poll<()> {
        let Some(running) = self.pending.as_mut() else { return Poll::Ready(()) };
        if let Some(sides) = self.sides.as_mut() {
            sides.work(task);
        }
        let done = ready!(asking(self.shared.meta.id(), || Pin::new(running).poll(task)));
        self.finish();
        self.home(done);
        Poll::Ready(())
    }

    /// Gives one due turn. False: none is due.
    fn side_turn(&mut self, task: &mut Task<'_>) -> bool {
        let (Some(sides), Some(seat)) = (self.sides.as_mut(), self.seat.as_mut()) else { return false };
        let Some(turn) = sides.next(task) else { return false };
        turn(&mut seat.actor, &mut seat.cx);
        self.collect();
        true
    }

    fn handle(&mut self, envelope: Boxed<A>, task: &mut Task<'_>) {
        #[cfg(feature = "testkit")]
        let Some(envelope) = self.meet_fault(envelope, task) else { return };
        envelope.open(self, task);
        if self.is_home() {
            self.collect();
            self.measure();
        }
    }

    /// The message in hand is handled.
    #[inline]
    fn measure(&mut self) {
        if self.measured != 0 {
            let took = uptime().saturating_sub(std::mem::take(&mut self.measured));
            self.shared.meta.latency().record(took);
        }
    }

    /// Works until there is nothing to do, an exclusive future must be waited for, or the budget is spent. `Ready`: the
    /// stop hook is done.
    fn turn(&mut self, task: &mut Task<'_>) -> Poll<()> {
        #[cfg(feature = "testkit")]
        let budget = crate::executor::budget(BUDGET);
        #[cfg(not(feature = "testkit"))]
        let budget = BUDGET;
        for _ in 0..budget {
            if self.pending.is_some() {
                self.shared.meta.keep_busy();
                return Poll::Pending;
            }
            if self.sides.as_ref().is_some_and(|sides| !sides.is_idle()) {
                // A crash in here is no message's fault.
                self.shared.meta.set_current(0);
                if self.side_turn(task) {
                    continue;
                }
            }
            let Some(seat) = self.seat.as_ref() else {
                return Poll::Pending;
            };
            let flags = self.shared.control.flags.load(Relaxed);
            if flags & ORDERS != 0 {
                // They came during this turn, and go before the messages that are left of it.
                break;
            }
            if flags & STOP != 0 || seat.cx.is_stopping() || self.closing {
                if std::mem::replace(&mut self.closing, true) {
                    return Poll::Ready(());
                }
                self.shared.meta.set_current(0);
                self.shared.meta.set_state(State::Stopping);
                run_stopping(self, task);
                continue;
            }
            let takes = flags & SUSPEND == 0 && !seat.cx.is_replying_enough();
            let next = if takes { self.next() } else { None };
            let Some(envelope) = next else {
                if takes && !self.is_replying() && self.shared.is_deserted() {
                    self.leave();
                    continue;
                }
                self.shared.meta.set_current(0);
                return Poll::Pending;
            };
            self.handle(envelope, task);
        }
        // `yield_now` would put off the wake until the driver was polled; this is requeued at once.
        task.waker().wake_by_ref();
        Poll::Pending
    }

    /// Somebody may wait for a reply who holds no address.
    fn is_replying(&self) -> bool {
        self.seat.as_ref().is_some_and(|seat| seat.cx.is_replying())
    }

    /// Nobody can send to it any more.
    fn leave(&mut self) {
        if let Some(seat) = self.seat.as_mut() {
            seat.cx.stop();
        }
    }

    fn next(&mut self) -> Option<Boxed<A>> {
        if let Some(next) = self.hand.pop_front() {
            return Some(next);
        }
        let mut replaced = Vec::new();
        let next = self.shared.mailbox.take(&mut self.hand, &mut replaced);
        for envelope in replaced {
            self.shared.lose(envelope, UndeliveredReason::Replaced);
        }
        next
    }
}

impl<A: Actor> ActorLoop for Core<A> {
    type Shared = Shared<A>;
    type Seed = A::Args;

    fn new(shared: Arc<Shared<A>>, args: A::Args) -> Self {
        Core {
            shared,
            args: Some(Box::new(args)),
            seat: None,
            hand: VecDeque::new(),
            pending: None,
            begun: false,
            sides: None,
            label: <() as Labelled>::LABEL,
            closing: false,
            sample_mask: u64::MAX,
            measured: 0,
        }
    }

    fn poll(&mut self, task: &mut Task<'_>) -> Poll<()> {
        if !std::mem::replace(&mut self.begun, true) {
            self.begin(task);
            if self.pending.is_some() {
                return Poll::Pending;
            }
        }
        ready!(self.wait(task));
        // No seat: the start failed.
        if self.is_home() { self.turn(task) } else { Poll::Ready(()) }
    }

    /// The messages in hand stay for the next generation.
    fn clear(&mut self) {
        self.begun = false;
        self.closing = false;
        self.measured = 0;
        self.shared.meta.set_current(0);
        bury(self.pending.take());
        bury(self.sides.take());
        bury(self.seat.take());
        for envelope in self.shared.mailbox.put_down(self.hand.len()) {
            self.shared.lose(envelope, UndeliveredReason::Replaced);
        }
    }
}

impl<A: Actor> Drop for Core<A> {
    fn drop(&mut self) {
        for envelope in std::mem::take(&mut self.hand) {
            self.shared.lose(envelope, UndeliveredReason::Stopped);
        }
        self.shared.close();
        self.clear();
        bury(self.args.take());
    }
}
