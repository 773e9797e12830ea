//! [`Plan`]: starts, exits and restarts.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    supervisor::{
        AutoShutdown, OnExhausted, OnStartFailure, Restart, Shutdown, Strategy,
        intensity::Intensity,
        strategy::{Action, Event, Key, Member, Outcome, Rules, bounds::Bounds},
    },
    task::Cause,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChildState {
    Down,
    /// Ordered to start; perhaps still in its pause.
    Starting,
    Up {
        since: Duration,
    },
    /// Ordered to end.
    Ending {
        killed: bool,
    },
    Stuck,
}

/// The number of a child's generation and one more; 0 before the first. There may be a million children.
#[derive(Clone, Copy, Debug, Default)]
struct Generation(u64);

impl Generation {
    fn is(self, number: u64) -> bool {
        self.0.checked_sub(1) == Some(number)
    }

    /// Goes on to the next, and gives its number.
    fn next(&mut self) -> u64 {
        self.0 += 1;
        self.0 - 1
    }
}

#[derive(Clone, Debug)]
pub(super) struct Child {
    pub(super) restart: Restart,
    significant: bool,
    pub(super) shutdown: Shutdown,
    pub(super) supervises: bool,
    pub(super) state: ChildState,
    /// The one that runs, or the last one. None before the first.
    generation: Generation,
    /// It has run since the supervisor was started.
    pub(super) has_run: bool,
    /// Restarts in a row without a healthy while.
    attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not started, or down.
    Down,
    /// Starts its children one after the other: all of them (`initial`), or again those that went down with a sibling.
    Starting {
        initial: bool,
    },
    Running,
    /// A child crashed, and those from this one on go down with it; then they are started again after the pause.
    Regrouping {
        from: Key,
        after: Duration,
        initial: bool,
    },
    Stopping(Outcome),
}

/// The state of one supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(super) rules: Rules,
    intensity: Intensity,
    pub(super) phase: Phase,
    pub(super) children: BTreeMap<Key, Child>,
    pub(super) bounds: Bounds,
    /// The child whose first start the others wait for.
    awaited: Option<Key>,
    exhausted_until: Option<Duration>,
    /// Before the next child of those that are started one after the other.
    pause: Duration,
    /// A significant child ended while others were being started.
    shutdown_due: bool,
}

impl Plan {
    pub(crate) fn new(rules: Rules) -> Self {
        let intensity = Intensity::new(rules.intensity, rules.period);
        Plan {
            rules,
            intensity,
            phase: Phase::Down,
            children: BTreeMap::new(),
            bounds: Bounds::default(),
            awaited: None,
            exhausted_until: None,
            pause: Duration::ZERO,
            shutdown_due: false,
        }
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(crate) fn intensity(&self) -> &Intensity {
        &self.intensity
    }

    /// The budget was used up within the period that ends now.
    pub(crate) fn is_exhausted(&self, now: Duration) -> bool {
        self.exhausted_until.is_some_and(|until| now < until)
    }

    /// Another budget of restarts from now on; what was spent counts against it.
    pub(crate) fn change_intensity(&mut self, restarts: usize, period: Duration) {
        self.rules.intensity = restarts;
        self.rules.period = period;
        self.intensity.change(restarts, period);
    }

    /// The budget is as new.
    pub(crate) fn forgive(&mut self) {
        self.intensity.reset();
        self.exhausted_until = None;
    }

    #[cfg(feature = "testkit")]
    pub(crate) fn shutdown_of(&self, child: Key) -> Option<Shutdown> {
        self.children.get(&child).map(|child| child.shutdown)
    }

    /// It has started, and is not on its way down: children can be added.
    pub(crate) fn is_running(&self) -> bool {
        matches!(
            self.phase,
            Phase::Running | Phase::Starting { initial: false } | Phase::Regrouping { initial: false, .. }
        )
    }

    /// Whether this end was not known: it is not one of an older generation, nor of a child that had ended already when
    /// it was told to.
    pub(crate) fn is_news(&self, child: Key, generation: u64, ended: bool) -> bool {
        let last = |child: &Child| child.generation.is(generation) && child.state != ChildState::Down;
        // An end for good is one whatever generation it was.
        self.children.get(&child).is_some_and(|child| ended || last(child))
    }

    /// Whether this generation is the one that runs, starts or is about to end.
    pub(crate) fn is_current(&self, child: Key, generation: u64) -> bool {
        let gone = |child: &Child| matches!(child.state, ChildState::Down | ChildState::Stuck);
        self.children.get(&child).is_some_and(|child| child.generation.is(generation) && !gone(child))
    }

    /// Whether a generation of this child follows by itself.
    pub(crate) fn brings_back(&self, child: Key) -> bool {
        !matches!(self.phase, Phase::Down | Phase::Stopping(_)) && self.children.contains_key(&child)
    }

    /// On its way down.
    pub(crate) fn is_stopping(&self) -> bool {
        matches!(self.phase, Phase::Stopping(_))
    }

    /// On its way down because of a child.
    pub(crate) fn is_giving_up(&self) -> bool {
        matches!(self.phase, Phase::Stopping(Outcome::StartFailed(_) | Outcome::Escalated(_)))
    }

    /// Adds a child after the others. It is started at once by a supervisor that runs, and after its siblings by one
    /// that is starting some of them again.
    pub(crate) fn add(&mut self, key: Key, member: Member) -> Vec<Action> {
        let Member { restart, shutdown, significant, supervises } = member;
        let child = Child {
            restart,
            significant,
            shutdown,
            supervises,
            state: ChildState::Down,
            generation: Generation::default(),
            has_run: false,
            attempt: 0,
        };
        self.children.insert(key, child);
        self.bounds.is_down(key);
        let mut actions = Vec::new();
        if self.phase == Phase::Running {
            self.start(key, Duration::ZERO, &mut actions);
        }
        actions
    }

    /// The one way in. `random` is in `0.0..1.0`.
    pub(crate) fn handle(&mut self, event: Event, now: Duration, random: f64) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Start => self.begin(&mut actions),
            Event::Started { child, generation } => self.started(child, generation, now, &mut actions),
            Event::Exited { child, generation, cause, ended } => {
                self.exited(child, generation, cause, ended, (now, random), &mut actions);
            }
            Event::Stop { for_good } => self.stop(Outcome::Ordered { for_good }, &mut actions),
            Event::Abort { for_good } => self.abort(for_good, &mut actions),
            Event::Deadline => self.deadline(&mut actions),
            Event::Overdue { child, generation } => self.overdue(child, generation, &mut actions),
        }
        actions
    }

    fn begin(&mut self, actions: &mut Vec<Action>) {
        if self.phase != Phase::Down {
            return;
        }
        self.phase = Phase::Starting { initial: true };
        self.intensity.reset();
        self.exhausted_until = None;
        self.pause = Duration::ZERO;
        self.shutdown_due = false;
        for child in self.children.values_mut() {
            child.has_run = false;
            child.attempt = 0;
        }
        self.start_next(actions);
    }

    /// Starts the next child that is down; when there is none, the supervisor runs.
    fn start_next(&mut self, actions: &mut Vec<Action>) {
        let mut rest = self.children.range(self.bounds.down_from..);
        let next = rest.find(|(_, child)| child.state == ChildState::Down).map(|(key, _)| *key);
        self.bounds.down_from = next.unwrap_or(Key::MAX);
        self.awaited = next;
        match next {
            Some(key) => {
                let pause = std::mem::take(&mut self.pause);
                self.start(key, pause, actions);
            }
            None => {
                let initial = self.phase == (Phase::Starting { initial: true });
                self.phase = Phase::Running;
                if initial {
                    actions.push(Action::Ready);
                }
                if std::mem::take(&mut self.shutdown_due) && self.is_shutdown_due() {
                    self.stop(Outcome::AutoShutdown, actions);
                }
            }
        }
    }

    /// A significant child has ended: is the supervisor to end with it?
    fn is_shutdown_due(&self) -> bool {
        match self.rules.auto_shutdown {
            AutoShutdown::Never => false,
            AutoShutdown::AnySignificant => true,
            AutoShutdown::AllSignificant => !self.children.values().any(|child| child.significant),
        }
    }

    /// A significant child ended by itself, and does not come back. Those that are being started are started first.
    fn significant_ended(&mut self, actions: &mut Vec<Action>) {
        if self.phase != Phase::Running {
            self.shutdown_due = true;
        } else if self.is_shutdown_due() {
            self.stop(Outcome::AutoShutdown, actions);
        }
    }

    fn start(&mut self, key: Key, after: Duration, actions: &mut Vec<Action>) {
        let Some(child) = self.children.get_mut(&key) else { return };
        let generation = child.generation.next();
        child.state = ChildState::Starting;
        self.bounds.is_live(key);
        actions.push(Action::Start { child: key, generation, after });
    }

    fn started(&mut self, key: Key, generation: u64, now: Duration, actions: &mut Vec<Action>) {
        let Some(child) = self.children.get_mut(&key) else { return };
        if !child.generation.is(generation) || child.state != ChildState::Starting {
            return;
        }
        child.state = ChildState::Up { since: now };
        child.has_run = true;
        self.go_on_after(key, actions);
    }

    /// The others need not wait for this one any longer.
    pub(super) fn go_on_after(&mut self, key: Key, actions: &mut Vec<Action>) {
        if matches!(self.phase, Phase::Starting { .. }) && self.awaited == Some(key) {
            self.start_next(actions);
        }
    }

    fn exited(
        &mut self,
        key: Key,
        generation: u64,
        cause: Cause,
        ended: bool,
        (now, random): (Duration, f64),
        actions: &mut Vec<Action>,
    ) {
        if !self.is_news(key, generation, ended) {
            return;
        }
        let Some(child) = self.children.get_mut(&key) else { return };
        let before = std::mem::replace(&mut child.state, ChildState::Down);
        self.bounds.is_down(key);
        if let ChildState::Up { since } = before
            && now.saturating_sub(since) >= self.rules.backoff.reset_after
        {
            child.attempt = 0;
        }
        let Child { restart, significant, has_run, .. } = *child;
        if ended {
            self.children.remove(&key);
            actions.push(Action::Close { child: key });
        }
        match self.phase {
            Phase::Down => self.forget_unless_kept(key, actions),
            Phase::Stopping(outcome) => {
                self.forget_unless_kept(key, actions);
                self.stop_next(outcome, actions);
            }
            // It was to go down anyhow; how it did is not counted.
            Phase::Regrouping { from, .. }
                if key >= from && !(cause == Cause::Lost && restart == Restart::Permanent) =>
            {
                if restart == Restart::Temporary {
                    self.forget(key, actions);
                }
                self.regroup_next(actions);
            }
            Phase::Starting { .. } | Phase::Running | Phase::Regrouping { .. } => {
                match self.verdict(key, restart, cause, ended, has_run, (now, random)) {
                    Verdict::Forget { by_itself } => {
                        self.forget(key, actions);
                        if significant && by_itself {
                            self.significant_ended(actions);
                        }
                    }
                    Verdict::Again => self.start(key, Duration::ZERO, actions),
                    Verdict::Restart(after) if self.rules.strategy == Strategy::OneForOne => {
                        self.start(key, after, actions);
                    }
                    Verdict::Restart(after) => return self.regroup(key, after, actions),
                    Verdict::GiveUp(outcome) => {
                        // The others are forgotten as they go down; this one is down already.
                        if self.rules.dynamic {
                            self.forget(key, actions);
                        }
                        return self.stop(outcome, actions);
                    }
                }
                self.go_on_after(key, actions);
            }
        }
    }

    /// A crash that counts, and that concerns others too.
    fn regroup(&mut self, key: Key, after: Duration, actions: &mut Vec<Action>) {
        let from = if self.rules.strategy == Strategy::RestForOne { key } else { Key::MIN };
        let (from, initial) = match self.phase {
            // During a regroup only the crash of one before the group gets here, and it concerns the group too.
            Phase::Regrouping { initial, .. } | Phase::Starting { initial } => (from, initial),
            _ => (from, false),
        };
        self.awaited = None;
        self.phase = Phase::Regrouping { from, after, initial };
        self.regroup_next(actions);
    }

    /// The last child of the group that still runs is to end; when there is none, they are started again.
    pub(super) fn regroup_next(&mut self, actions: &mut Vec<Action>) {
        let Phase::Regrouping { from, after, initial } = self.phase else { return };
        match self.last_live(from) {
            Some((_, ChildState::Ending { .. })) => {}
            Some((key, _)) => {
                let limit = self.end_child(key, false, actions);
                actions.push(Action::Arm(limit));
            }
            None => {
                actions.push(Action::Arm(None));
                self.phase = Phase::Starting { initial };
                self.pause = after;
                self.start_next(actions);
            }
        }
    }

    fn verdict(
        &mut self,
        key: Key,
        restart: Restart,
        cause: Cause,
        ended: bool,
        has_run: bool,
        at: (Duration, f64),
    ) -> Verdict {
        match cause {
            // A supervised child whose task is gone cannot be brought back here; perhaps further up.
            Cause::Lost if restart == Restart::Permanent => Verdict::GiveUp(Outcome::Escalated(key)),
            Cause::Lost => Verdict::Forget { by_itself: true },
            Cause::Stopped => Verdict::Forget { by_itself: false },
            _ if ended => Verdict::Forget { by_itself: true },
            // One that was stuck when its supervisor went down has ended now that it is up again.
            Cause::RestartAsked | Cause::Halted => Verdict::Again,
            Cause::Finished if restart != Restart::Permanent => Verdict::Forget { by_itself: true },
            Cause::Crash if !has_run => self.start_failed(key, restart, at),
            Cause::Crash if restart == Restart::Temporary => Verdict::Forget { by_itself: true },
            Cause::Crash | Cause::Finished => self.spend(key, at),
        }
    }

    /// A first start that failed.
    fn start_failed(&mut self, key: Key, restart: Restart, at: (Duration, f64)) -> Verdict {
        match self.rules.on_start_failure {
            OnStartFailure::Fail if matches!(self.phase, Phase::Starting { initial: true }) => {
                Verdict::GiveUp(Outcome::StartFailed(key))
            }
            // Added at run time: whoever added it hears of it.
            OnStartFailure::Fail => Verdict::Forget { by_itself: false },
            OnStartFailure::Retry if restart == Restart::Temporary => Verdict::Forget { by_itself: true },
            OnStartFailure::Retry => self.spend(key, at),
        }
    }

    /// A restart that counts.
    fn spend(&mut self, key: Key, (now, random): (Duration, f64)) -> Verdict {
        let backoff = self.rules.backoff;
        if self.intensity.spend(now) {
            let Some(child) = self.children.get_mut(&key) else {
                return Verdict::Forget { by_itself: true };
            };
            let pause = backoff.pause(child.attempt, random);
            child.attempt = child.attempt.saturating_add(1);
            return Verdict::Restart(pause);
        }
        self.exhausted_until = Some(now.saturating_add(self.rules.period));
        match self.rules.on_exhausted {
            OnExhausted::Escalate => Verdict::GiveUp(Outcome::Escalated(key)),
            OnExhausted::RetryAtMaxBackoff => Verdict::Restart(backoff.longest(random)),
        }
    }

    fn forget(&mut self, key: Key, actions: &mut Vec<Action>) {
        if self.children.remove(&key).is_some() {
            actions.push(Action::Close { child: key });
        }
    }

    /// Of what went down with its supervisor, the declared children wait for its next start.
    fn forget_unless_kept(&mut self, key: Key, actions: &mut Vec<Action>) {
        let kept = |child: &Child| !self.rules.dynamic && child.restart != Restart::Temporary;
        if !self.children.get(&key).is_some_and(kept) {
            self.forget(key, actions);
        }
    }
}

enum Verdict {
    /// It does not come back. `by_itself`: nobody stopped it.
    Forget {
        by_itself: bool,
    },
    /// The next generation of this one alone, at once and uncounted.
    Again,
    Restart(Duration),
    GiveUp(Outcome),
}
