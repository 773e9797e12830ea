//! [`ActorTask`]: polls the actor inside `catch_unwind`, obeys orders, reports deaths.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context as Task, Poll},
    time::SystemTime,
};

use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::{
    core::{bury, empty_morgue},
    error::AskError,
    executor::Executor,
    meta::{CrashRecord, State, StopReason},
    moment::after,
    reference::{Controlled, Node},
    reply::ending,
    supervisor::Shutdown,
    task::{ActorLoop, Cause, Exit, Link, ORDERS, Order, Panic, STOP, SUSPEND, caught},
};

/// All that travels to the executor where the actor will live: the actor itself may be `!Send`.
pub(crate) struct Launch<L: ActorLoop> {
    inner: Option<(Arc<L::Shared>, L::Seed)>,
    shutdown: Shutdown,
    generation: u64,
    executor: Arc<Executor>,
}

impl<L: ActorLoop> Launch<L> {
    pub(crate) fn new(
        shared: Arc<L::Shared>,
        seed: L::Seed,
        shutdown: Shutdown,
        generation: u64,
        link: Link,
        executor: Arc<Executor>,
    ) -> Self {
        shared.control().set_link(link);
        shared.meta().set_executor(executor.index());
        executor.add_load();
        Launch { inner: Some((shared, seed)), shutdown, generation, executor }
    }

    pub(crate) fn run(self) {
        self.executor.clone().spawn(move || self.into_task());
    }

    /// To be called on the executor's thread.
    fn into_task(mut self) -> Option<ActorTask<L>> {
        let (shared, seed) = self.inner.take()?;
        Some(ActorTask {
            stage: Some(L::new(shared.clone(), seed)),
            shared,
            phase: Phase::Pause(None),
            generation: self.generation,
            closing: None,
            shutdown: self.shutdown,
            executor: self.executor.clone(),
        })
    }
}

/// The executor went away before the actor got there.
impl<L: ActorLoop> Drop for Launch<L> {
    fn drop(&mut self) {
        if let Some((shared, seed)) = self.inner.take() {
            bury(seed);
            self.executor.drop_load();
            lose(&*shared, self.generation);
        }
    }
}

fn lose(shared: &impl Controlled, generation: u64) {
    shared.end(StopReason::Killed);
    if let Some(link) = shared.control().link() {
        link.exited(Exit {
            generation,
            cause: Cause::Lost,
            reason: StopReason::Killed,
            crash: None,
            ended: true,
        });
    }
}

enum Phase {
    /// Between two generations, until the supervisor says what comes.
    Idle,
    /// The next generation begins after this.
    Pause(Option<Pin<Box<Sleep>>>),
    /// A generation runs. When an end of it that nobody else times becomes a kill.
    Active(Option<Deadline>),
}

/// Most ends take one turn, and those need no timer.
enum Deadline {
    /// The end has not had its first turn.
    At(Instant),
    Timed(Pin<Box<Sleep>>),
}

/// Lives as long as the address: one task for all generations.
pub(crate) struct ActorTask<L: ActorLoop> {
    shared: Arc<L::Shared>,
    /// `None` once the actor is gone for good.
    stage: Option<L>,
    phase: Phase,
    /// The one that runs, or comes next, or was the last.
    generation: u64,
    /// The orderly end that is under way.
    closing: Option<Cause>,
    shutdown: Shutdown,
    executor: Arc<Executor>,
}

impl<L: ActorLoop> ActorTask<L> {
    fn obey(&mut self) {
        if self.shared.control().flags.load(Relaxed) & ORDERS == 0 {
            return;
        }
        for order in self.shared.control().take_orders() {
            if self.stage.is_none() {
                return;
            }
            self.execute(order);
        }
    }

    fn execute(&mut self, order: Order) {
        let active = matches!(self.phase, Phase::Active(_));
        match order {
            Order::Stop if active => self.close(Cause::Stopped),
            Order::Stop => self.finish(StopReason::Shutdown, Some(Cause::Stopped)),
            // A stop is final, however it ends.
            Order::Kill | Order::Abort { for_good: false } if self.closing == Some(Cause::Stopped) => {
                self.finish(StopReason::Killed, Some(Cause::Stopped));
            }
            Order::Kill if active => self.end_generation(StopReason::Killed, Cause::Crash, None),
            Order::Kill => {}
            Order::Restart if active => self.close(Cause::RestartAsked),
            Order::Restart => {}
            Order::Suspend => {
                self.shared.control().flags.fetch_or(SUSPEND, Relaxed);
                if self.shared.meta().state() == State::Running {
                    self.shared.meta().set_state(State::Suspended);
                }
            }
            Order::Resume => {
                self.shared.control().flags.fetch_and(!SUSPEND, Relaxed);
                if self.shared.meta().state() == State::Suspended {
                    self.shared.meta().set_state(State::Running);
                }
            }
            Order::Inspect(to) => {
                // Whoever asked may be gone.
                let _ = to.send(self.shared.snapshot());
            }
            Order::Start { generation, after } => {
                self.generation = generation;
                // A sleep of nothing would still be rounded up to the timer's next millisecond.
                self.phase = Phase::Pause((!after.is_zero()).then(|| Box::pin(sleep(after))));
            }
            Order::Halt { for_good } => match for_good {
                _ if active => {
                    if self.closing != Some(Cause::Stopped) {
                        self.closing = Some(if for_good { Cause::Stopped } else { Cause::Halted });
                    }
                    self.phase = Phase::Active(None);
                    self.shared.control().flags.fetch_or(STOP, Relaxed);
                }
                true => self.finish(StopReason::Shutdown, Some(Cause::Stopped)),
                false => self.end_generation(StopReason::Shutdown, Cause::Halted, None),
            },
            Order::Abort { for_good: true } => self.finish(StopReason::Killed, Some(Cause::Stopped)),
            Order::Abort { for_good: false } => {
                self.end_generation(StopReason::Killed, Cause::Halted, None);
            }
            // Its supervisor was dropped.
            Order::Close if active => self.finish(StopReason::Killed, None),
            Order::Close => {
                let reason = self.shared.meta().last_reason().unwrap_or(StopReason::Shutdown);
                self.finish(reason, None);
            }
        }
    }

    /// An orderly end that this task times itself.
    fn close(&mut self, cause: Cause) {
        if self.closing == Some(Cause::Halted) && cause == Cause::Stopped {
            // The supervisor times it, and hears that there is nothing to start again.
            self.closing = Some(cause);
        }
        if self.closing.is_some_and(|closing| closing != Cause::RestartAsked) {
            return;
        }
        self.closing = Some(cause);
        self.shared.control().flags.fetch_or(STOP, Relaxed);
        let limit = match self.shutdown {
            Shutdown::Infinity => None,
            Shutdown::Timeout(limit) => Some(limit),
            Shutdown::Brutal => return self.kill(),
        };
        let at = limit.map(|limit| after(Instant::now(), limit));
        self.phase = Phase::Active(at.map(Deadline::At));
    }

    /// Waits for a deadline that is timed.
    fn is_overdue(&mut self, task: &mut Task<'_>) -> bool {
        match &mut self.phase {
            Phase::Active(Some(Deadline::Timed(sleep))) => sleep.as_mut().poll(task).is_ready(),
            _ => false,
        }
    }

    /// To be called when the end takes more than one turn.
    fn time_deadline(&mut self) {
        if let Phase::Active(Some(deadline)) = &mut self.phase
            && let Deadline::At(at) = deadline
        {
            *deadline = Deadline::Timed(Box::pin(sleep_until(*at)));
        }
    }

    /// The deadline has passed, or there is none: no hook runs any more.
    fn kill(&mut self) {
        match self.closing {
            Some(Cause::RestartAsked) => {
                self.end_generation(StopReason::Killed, Cause::RestartAsked, None);
            }
            _ => self.finish(StopReason::Killed, Some(Cause::Stopped)),
        }
    }

    /// Drops what is left of the generation; the address stays, and the supervisor says what comes.
    fn end_generation(&mut self, reason: StopReason, cause: Cause, panic: Option<Panic>) {
        let why = if panic.is_some() { AskError::Panicked } else { AskError::Stopped };
        if let Some(stage) = self.stage.as_mut() {
            // A panic in here was one of a Drop, and what it belonged to is gone.
            if ending(why, || caught(|| stage.clear())).is_err() {
                tracing::error!(actor = self.shared.meta().path(), "clearing away a generation panicked");
            }
        }
        empty_morgue();
        self.shared.control().flags.fetch_and(!STOP, Relaxed);
        self.closing = None;
        self.phase = Phase::Idle;
        let crash = self.record(&reason, cause, panic);
        self.shared.meta().set_reason(reason.clone());
        self.shared.meta().set_state(if cause == Cause::Crash { State::Crashed } else { State::Idle });
        self.report(reason, cause, crash, false);
    }

    fn record(&self, reason: &StopReason, cause: Cause, panic: Option<Panic>) -> Option<Arc<CrashRecord>> {
        let meta = self.shared.meta();
        if panic.is_some() {
            meta.count_panic();
        } else if cause != Cause::Crash {
            return None;
        }
        let (location, backtrace) = panic.map_or((None, None), |panic| (panic.location, panic.backtrace));
        let crash = Arc::new(CrashRecord {
            at: SystemTime::now(),
            actor: meta.id(),
            path: meta.path(),
            actor_type: meta.type_name(),
            generation: self.generation,
            reason: reason.clone(),
            location,
            backtrace,
        });
        meta.record(crash.clone());
        Some(crash)
    }

    fn report(&self, reason: StopReason, cause: Cause, crash: Option<Arc<CrashRecord>>, ended: bool) {
        if let Some(link) = self.shared.control().link() {
            link.exited(Exit { generation: self.generation, cause, reason, crash, ended });
        }
    }

    /// The end for good: no hook runs on whatever state is left. `cause`: what the supervisor hears, unless it knows.
    fn finish(&mut self, reason: StopReason, cause: Option<Cause>) {
        self.finish_after(reason, cause, None);
    }

    fn finish_after(&mut self, reason: StopReason, cause: Option<Cause>, panic: Option<Panic>) {
        let Some(stage) = self.stage.take() else { return };
        // Nothing is left to be timed.
        self.phase = Phase::Idle;
        let why = if panic.is_some() { AskError::Panicked } else { AskError::Stopped };
        ending(why, || bury(stage));
        empty_morgue();
        self.executor.drop_load();
        let crash = cause.and_then(|cause| self.record(&reason, cause, panic));
        self.shared.end(reason.clone());
        if let Some(cause) = cause {
            self.report(reason, cause, crash, true);
        }
    }

    /// The actor's loop has ended by itself.
    fn ended(&mut self) {
        if let Some(error) = self.shared.meta().take_start_error() {
            return self.broke(StopReason::StartFailed(error), None);
        }
        match self.closing {
            None => self.end_generation(StopReason::Normal, Cause::Finished, None),
            Some(Cause::Stopped) => self.finish(StopReason::Shutdown, Some(Cause::Stopped)),
            Some(cause) => self.end_generation(StopReason::Shutdown, cause, None),
        }
    }

    fn panicked(&mut self, panic: Panic) {
        let message = self.shared.meta().current_type();
        let reason = StopReason::Panicked { message, payload: panic.text.clone() };
        self.broke(reason, Some(panic));
    }

    /// A panic, or a start that failed. One that was ending anyhow is not brought back to life by it.
    fn broke(&mut self, reason: StopReason, panic: Option<Panic>) {
        let stopping = self.stage.as_mut().is_some_and(ActorLoop::is_stopping);
        match self.closing {
            Some(Cause::Stopped) => self.finish_after(reason, Some(Cause::Stopped), panic),
            Some(Cause::Halted) => self.end_generation(reason, Cause::Halted, panic),
            // Its stop hook broke: the next generation is wanted all the same.
            Some(Cause::RestartAsked) if self.shared.meta().state() == State::Stopping => {
                self.end_generation(reason, Cause::RestartAsked, panic);
            }
            _ if stopping || self.shared.meta().state() == State::Stopping => {
                self.end_generation(reason, Cause::Finished, panic);
            }
            _ => self.end_generation(reason, Cause::Crash, panic),
        }
    }
}

impl<L: ActorLoop> Future for ActorTask<L> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.shared.awake(task);
        this.obey();
        if this.is_overdue(task) {
            this.kill();
        }
        loop {
            let Some(stage) = this.stage.as_mut() else {
                return Poll::Ready(());
            };
            match &mut this.phase {
                Phase::Idle => return Poll::Pending,
                Phase::Pause(pause) => {
                    if let Some(pause) = pause {
                        std::task::ready!(pause.as_mut().poll(task));
                    }
                    this.shared.meta().set_generation(this.generation);
                    this.shared.meta().set_state(State::Starting);
                    this.phase = Phase::Active(None);
                    if let Err(error) = this.shared.enrol() {
                        this.broke(StopReason::StartFailed(error.to_string()), None);
                    }
                }
                Phase::Active(_) => match caught(|| stage.poll(task)) {
                    Ok(Poll::Pending) => {
                        this.time_deadline();
                        if !this.is_overdue(task) {
                            return Poll::Pending;
                        }
                        this.kill();
                    }
                    Ok(Poll::Ready(())) => this.ended(),
                    Err(panic) => this.panicked(panic),
                },
            }
        }
    }
}

/// Aborted, or its executor shut down.
impl<L: ActorLoop> Drop for ActorTask<L> {
    fn drop(&mut self) {
        self.finish(StopReason::Killed, Some(Cause::Lost));
    }
}
