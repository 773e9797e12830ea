//! The task of one supervisor: carries out what the [`Plan`](super::strategy::Plan) says.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context as Task, Poll},
    time::{Duration, SystemTime},
};

use tokio::time::{Sleep, sleep};

use crate::{
    envelope::Sealed,
    error::SendError,
    executor::{Executor, Placement},
    meta::{CrashRecord, Kind, State, StopReason},
    reference::Node,
    supervisor::{
        ChildExited, Runtime, SupervisorNode,
        home::Home,
        kill_watch::KillWatch,
        strategy::{Action, Event, Key, Outcome},
        supervisor_node::{Deferred, REMEMBERED},
        validate::is_unreachable,
    },
    task::{Cause, Exit, Link, Notice, Order, What},
};

/// How soon an end is told again to a recipient that had no room for it.
const TELL_AGAIN: Duration = Duration::from_millis(5);
/// Untold ends that a supervisor of declared children keeps; those of a dynamic one count as children.
const UNTOLD: usize = 1024;

/// Notices for which room is kept.
const ROOM_KEPT: usize = 256;
/// Notices that are read before others of the thread have their turn.
const TURN: usize = 128;

/// A supervisor that is to run for the first time.
pub(crate) struct SupervisorLaunch {
    pub(crate) node: Arc<SupervisorNode>,
    pub(crate) generation: u64,
    /// None for the root.
    pub(crate) link: Option<Link>,
}

impl SupervisorLaunch {
    /// The children get `executor` unless they say otherwise; the supervisor itself runs on the control executor.
    pub(crate) fn run(self, executor: Arc<Executor>, runtime: Arc<Runtime>, placement: Placement) {
        let SupervisorLaunch { node, generation, link } = self;
        let each = node.meta().kind() == Kind::Dynamic && placement == Placement::Workers;
        let home = if each { Home::EachWorker } else { Home::One(executor) };
        node.take_in_declared();
        node.with(|body| body.place = Some((runtime.clone(), home)));
        if node.with(|body| is_unreachable(body.plan.rules())) {
            tracing::warn!(
                supervisor = node.meta().path(),
                "the pauses between restarts are so long that one child cannot use up the budget within its period"
            );
        }
        node.meta().set_executor(runtime.executors.control().index());
        let task = SupervisorTask {
            node,
            runtime: runtime.clone(),
            link,
            generation,
            phase: Phase::Pause(None),
            closing: None,
            aborted: false,
            blamed: None,
            deadline: None,
            tell_again: None,
            kills: KillWatch::default(),
            reading: VecDeque::new(),
            obeying: Vec::new(),
        };
        runtime.executors.control().spawn(move || Some(task));
    }
}

enum Phase {
    /// Between two generations, until the supervisor above says what comes.
    Idle,
    /// The next generation begins after this.
    Pause(Option<Pin<Box<Sleep>>>),
    Active,
    Done,
}

/// Lives as long as the supervisor's address: one task for all generations.
struct SupervisorTask {
    node: Arc<SupervisorNode>,
    runtime: Arc<Runtime>,
    link: Option<Link>,
    generation: u64,
    phase: Phase,
    /// The end that was ordered.
    closing: Option<Cause>,
    aborted: bool,
    /// The child that brings the supervisor down, and why it ended.
    blamed: Option<(Arc<str>, StopReason)>,
    deadline: Option<Pin<Box<Sleep>>>,
    tell_again: Option<Pin<Box<Sleep>>>,
    kills: KillWatch,
    /// Taken and not read yet. What the children said comes first: an order may rest on it.
    reading: VecDeque<Notice>,
    obeying: Vec<Order>,
}

impl SupervisorTask {
    fn begin(&mut self) {
        self.phase = Phase::Active;
        self.closing = None;
        self.aborted = false;
        self.blamed = None;
        self.node.meta().set_generation(self.generation);
        self.node.meta().set_state(State::Starting);
        self.carry_out(Event::Start);
    }

    fn obey(&mut self, order: Order) {
        let active = matches!(self.phase, Phase::Active);
        match order {
            Order::Start { generation, after } => {
                self.generation = generation;
                self.phase = Phase::Pause((!after.is_zero()).then(|| Box::pin(sleep(after))));
            }
            Order::Close => {
                let reason = self.node.meta().last_reason().unwrap_or(StopReason::Shutdown);
                self.finish(reason, None);
            }
            Order::Stop | Order::Halt { for_good: true } | Order::Abort { for_good: true } if !active => {
                self.finish(StopReason::Shutdown, Some(Cause::Stopped));
            }
            Order::Halt { for_good: false } | Order::Abort { for_good: false } if !active => {
                self.end_generation(StopReason::Shutdown, Cause::Halted, None);
            }
            Order::Stop | Order::Halt { for_good: true } => self.stop(Cause::Stopped),
            Order::Halt { for_good: false } => self.stop(Cause::Halted),
            Order::Abort { for_good } => {
                // A stop is final, however it ends.
                let for_good = for_good || self.closing == Some(Cause::Stopped);
                self.aborted = true;
                self.closing = Some(if for_good { Cause::Stopped } else { Cause::Halted });
                self.node.meta().set_state(State::Stopping);
                self.carry_out(Event::Abort { for_good });
            }
            // The root has nobody to start it again.
            Order::Restart if active && self.closing.is_none() && self.link.is_some() => {
                self.stop(Cause::RestartAsked);
            }
            Order::Suspend => self.pass_to_all(|| Order::Suspend),
            Order::Resume => self.pass_to_all(|| Order::Resume),
            // A supervisor that is not running needs no restart; the others only actors know.
            Order::Restart | Order::Kill | Order::Inspect(_) => {}
        }
    }

    fn stop(&mut self, cause: Cause) {
        if self.closing != Some(Cause::Stopped) {
            self.closing = Some(cause);
        }
        self.node.meta().set_state(State::Stopping);
        self.carry_out(Event::Stop { for_good: cause == Cause::Stopped });
    }

    fn read(&mut self, notice: Notice) {
        let Notice { child, what } = notice;
        match what {
            What::Started { generation } => self.carry_out(Event::Started { child, generation }),
            What::Exited(exit) => self.exited(child, exit),
            What::Killed { generation } => {
                if self.node.with(|body| body.plan.is_current(child, generation)) {
                    self.kills.watch(child, generation);
                }
            }
        }
    }

    fn exited(&mut self, key: Key, exit: Exit) {
        let Exit { generation, cause, reason, crash, ended } = exit;
        let known = self.node.with(|body| {
            let child = body.children.get(&key)?.node.clone();
            Some((child, body.plan.is_news(key, generation, ended)))
        });
        let Some((child, is_news)) = known else { return };
        if !is_news {
            return;
        }
        self.kills.forget(key);
        child.meta().unmark_stuck(if cause == Cause::Crash { State::Crashed } else { State::Idle });
        if let Some(crash) = &crash {
            tracing::warn!(actor = crash.path, generation, reason = %reason, "an actor crashed");
        }
        let event = Event::Exited { child: key, generation, cause, ended };
        // Only restarts that count have a pause.
        let chance =
            if matches!(cause, Cause::Crash | Cause::Finished) { self.runtime.chance() } else { 0.5 };
        let now = self.runtime.now();
        let (actions, gives_up, restarting, exhausted, told) = self.node.with(|body| {
            body.exits += 1;
            if let Some(crash) = &crash {
                body.crashes += 1;
                if body.last_crashes.len() == REMEMBERED {
                    body.last_crashes.pop_front();
                }
                body.last_crashes.push_back(crash.clone());
            }
            let actions = body.plan.handle(event, now, chance);
            let down = |action: &Action| {
                matches!(action, Action::Down(Outcome::StartFailed(_) | Outcome::Escalated(_)))
            };
            let gives_up = body.plan.is_giving_up() || actions.iter().any(down);
            // It runs until the period after the last crash that found the budget used up.
            let exhausted = crash.is_some() && body.plan.is_exhausted(now);
            (actions, gives_up, body.plan.brings_back(key), exhausted, body.on_exit.is_some())
        });
        let name = child.meta().name();
        if gives_up && self.blamed.is_none() {
            self.blamed = Some((name.clone(), reason.clone()));
        }
        if told {
            self.tell(ChildExited {
                supervisor: self.node.meta().path().into(),
                name: name.clone(),
                actor: child.meta().id(),
                generation,
                reason,
                crash,
                restarting,
                exhausted,
            });
        }
        self.perform(actions);
    }

    fn carry_out(&mut self, event: Event) {
        let now = self.runtime.now();
        // No pause begins here.
        let actions = self.node.with(|body| body.plan.handle(event, now, 0.5));
        self.perform(actions);
    }

    fn perform(&mut self, actions: Vec<Action>) {
        // Also one that nobody told to stop.
        if self.node.with(|body| body.plan.is_stopping()) {
            self.node.meta().set_state(State::Stopping);
        }
        for action in actions {
            let deferred = match action {
                Action::Start { child, generation, after } => {
                    let link = self.node.link(child);
                    self.node.with(|body| body.start(link, generation, after))
                }
                Action::Halt { child, for_good } => self.pass_on(child, Order::Halt { for_good }),
                Action::Abort { child, for_good } => self.pass_on(child, Order::Abort { for_good }),
                Action::Close { child } => self.node.with(|body| body.close(child)),
                Action::Stuck { child } => {
                    self.stuck(child);
                    None
                }
                Action::Arm(limit) => {
                    self.deadline = limit.map(|limit| Box::pin(sleep(limit)));
                    None
                }
                Action::Ready => {
                    self.node.meta().set_state(State::Running);
                    if let Some(link) = &self.link {
                        link.started(self.generation);
                    }
                    None
                }
                Action::Down(outcome) => {
                    self.down(outcome);
                    None
                }
            };
            if let Some(deferred) = deferred {
                deferred.run();
            }
        }
    }

    fn pass_on(&self, child: Key, order: Order) -> Option<Deferred> {
        self.node.with(|body| {
            if let Some(child) = body.children.get(&child) {
                child.node.order(order);
            }
        });
        None
    }

    fn pass_to_all(&self, order: impl Fn() -> Order) {
        let children = self.node.children();
        children.iter().for_each(|child| child.order(order()));
    }

    fn stuck(&self, child: Key) {
        let node = self.node.with(|body| body.children.get(&child).map(|child| child.node.clone()));
        if let Some(node) = node {
            let path = node.meta().path();
            tracing::error!(actor = path, "does not end although it was killed: it blocks its thread");
            node.meta().mark_stuck();
            self.runtime.report_stuck(&node);
        }
    }

    fn down(&mut self, outcome: Outcome) {
        let ordered = if self.aborted { StopReason::Killed } else { StopReason::Shutdown };
        let (child, reason) = self.blamed.take().unwrap_or_else(|| ("".into(), StopReason::Killed));
        match outcome {
            Outcome::Ordered { for_good: true } => self.finish(ordered, Some(Cause::Stopped)),
            Outcome::Ordered { for_good: false } => {
                self.end_generation(ordered, self.closing.unwrap_or(Cause::Halted), None);
            }
            Outcome::AutoShutdown if self.link.is_some() => {
                self.end_generation(ordered, Cause::Finished, None);
            }
            Outcome::AutoShutdown => self.finish(ordered, None),
            Outcome::StartFailed(_) => {
                let error = format!("child `{child}`: {reason}");
                self.gave_up(StopReason::StartFailed(error));
            }
            Outcome::Escalated(_) => {
                self.gave_up(StopReason::Escalated { child: child.to_string(), reason: Box::new(reason) });
            }
        }
    }

    fn gave_up(&mut self, reason: StopReason) {
        let meta = self.node.meta();
        let crash = Arc::new(CrashRecord {
            at: SystemTime::now(),
            actor: meta.id(),
            path: meta.path(),
            actor_type: self.node.with(|body| body.plan.rules().strategy.as_str()),
            generation: self.generation,
            reason: reason.clone(),
            location: None,
            backtrace: None,
        });
        meta.record(crash.clone());
        if self.link.is_some() {
            self.end_generation(reason, Cause::Crash, Some(crash));
        } else {
            tracing::error!(reason = %reason, "the root supervisor gave up");
            self.finish(reason, None);
        }
    }

    /// The address stays; the supervisor above says what comes.
    fn end_generation(&mut self, reason: StopReason, cause: Cause, crash: Option<Arc<CrashRecord>>) {
        self.phase = Phase::Idle;
        self.closing = None;
        self.deadline = None;
        self.node.meta().set_reason(reason.clone());
        self.node.meta().set_state(if cause == Cause::Crash { State::Crashed } else { State::Idle });
        self.report(reason, cause, crash, false);
    }

    fn report(&self, reason: StopReason, cause: Cause, crash: Option<Arc<CrashRecord>>, ended: bool) {
        if let Some(link) = &self.link {
            link.exited(Exit { generation: self.generation, cause, reason, crash, ended });
        }
    }

    /// The end for good: the addresses of the children are closed. `cause`: what the supervisor above hears, unless it
    /// knows.
    fn finish(&mut self, reason: StopReason, cause: Option<Cause>) {
        if matches!(self.phase, Phase::Done) {
            return;
        }
        self.phase = Phase::Done;
        let keys: Vec<Key> = self.node.with(|body| body.children.keys().copied().collect());
        for key in keys {
            if let Some(rest) = self.node.with(|body| body.close(key)) {
                rest.run();
            }
        }
        self.flush();
        let (untold, on_exit) = self.node.with(|body| {
            let untold = std::mem::take(&mut body.untold);
            body.unreported_exits += u64::try_from(untold.len()).unwrap_or(u64::MAX);
            (untold, body.on_exit.take())
        });
        drop((untold, on_exit));
        self.node.meta().end(reason.clone());
        if self.link.is_none()
            && let Some(telemetry) = self.node.meta().telemetry()
        {
            telemetry.changes.close();
        }
        if let Some(cause) = cause {
            self.report(reason, cause, None, true);
        }
    }

    fn tell(&mut self, exited: ChildExited) {
        let dropped = self.node.with(|body| {
            body.untold.push_back(exited);
            let over = !body.plan.rules().dynamic && body.untold.len() > UNTOLD;
            over.then(|| {
                body.unreported_exits += 1;
                body.untold.pop_front()
            })
        });
        drop(dropped);
        self.flush();
    }

    /// Tells the ends that wait to be told, in order; those that find no room are told again soon.
    fn flush(&mut self) {
        self.tell_again = None;
        loop {
            let next = self.node.with(|body| Some((body.on_exit.clone()?, body.untold.pop_front()?)));
            let Some((recipient, exited)) = next else { return };
            // That there is no room yet is no refusal.
            match recipient.try_admit(Sealed::tell(exited)) {
                Ok(()) => {}
                Err(SendError::Stopped(_)) => self.node.with(|body| body.unreported_exits += 1),
                Err(SendError::Full(envelope)) => {
                    self.node.with(|body| body.untold.push_front(envelope.into_message()));
                    self.tell_again = Some(Box::pin(sleep(TELL_AGAIN)));
                    return;
                }
            }
        }
    }
}

impl Future for SupervisorTask {
    type Output = ();

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.node.inbox.awake(task);
        // What the children said comes first: an order may rest on it.
        let mut left = TURN;
        loop {
            if this.reading.is_empty() {
                this.obeying.extend(this.node.inbox.take(&mut this.reading));
            }
            let Some(notice) = this.reading.pop_front() else { break };
            this.read(notice);
            left -= 1;
            if left == 0 {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        if this.reading.capacity() > ROOM_KEPT {
            this.reading = VecDeque::new();
        }
        std::mem::take(&mut this.obeying).into_iter().for_each(|order| this.obey(order));
        loop {
            let mut idle = true;
            if let Phase::Pause(pause) = &mut this.phase
                && pause.as_mut().is_none_or(|pause| pause.as_mut().poll(task).is_ready())
            {
                this.begin();
                idle = false;
            }
            if this.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(task).is_ready()) {
                this.deadline = None;
                this.carry_out(Event::Deadline);
                idle = false;
            }
            for (child, generation) in this.kills.overdue(task) {
                this.carry_out(Event::Overdue { child, generation });
                idle = false;
            }
            if this.tell_again.as_mut().is_some_and(|again| again.as_mut().poll(task).is_ready()) {
                this.flush();
                idle = false;
            }
            if matches!(this.phase, Phase::Done) {
                return Poll::Ready(());
            }
            if idle {
                return Poll::Pending;
            }
        }
    }
}

/// Its executor was shut down, or something in here panicked: nobody is left in the dark.
impl Drop for SupervisorTask {
    fn drop(&mut self) {
        self.finish(StopReason::Killed, Some(Cause::Lost));
    }
}
