//! [`Plan`]: what a supervisor does, as a pure function of its state and an event to actions.
//!
//! No clock is read and nothing is done in here: times and randomness come in as values, and what is to be done goes out
//! as a list. The children's order is the order of their keys.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    supervisor::{Backoff, OnExhausted, OnStartFailure, Restart, Shutdown, Strategy, intensity::Intensity},
    task::Cause,
};

/// A child that was killed has this long to end; after it, it is stuck.
pub(crate) const KILL_GRACE: Duration = Duration::from_secs(1);

/// A child of one supervisor; keys only grow.
pub(crate) type Key = u64;

/// What happened.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// The supervisor is to start its children.
    Start,
    Started {
        child: Key,
        generation: u64,
    },
    Exited {
        child: Key,
        generation: u64,
        cause: Cause,
        ended: bool,
    },
    /// The supervisor is to stop its children orderly.
    Stop {
        for_good: bool,
    },
    /// The supervisor is to end its children at once.
    Abort {
        for_good: bool,
    },
    /// The time that was last armed is over.
    Deadline,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    Start {
        child: Key,
        generation: u64,
        after: Duration,
    },
    Halt {
        child: Key,
        for_good: bool,
    },
    Abort {
        child: Key,
        for_good: bool,
    },
    /// The child is gone for good: forget it, and close its address if it is not closed yet.
    Close {
        child: Key,
    },
    /// It holds its thread: report it, and go on without it.
    Stuck {
        child: Key,
    },
    /// Replaces the time armed before. None: no time is awaited any more.
    Arm(Option<Duration>),
    /// All children have started.
    Ready,
    /// No child runs any more.
    Down(Outcome),
}

/// Why a supervisor went down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was told to.
    Ordered { for_good: bool },
    /// This child could not be started.
    StartFailed(Key),
    /// This child used up the budget.
    Escalated(Key),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChildState {
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

#[derive(Clone, Debug)]
struct Child {
    restart: Restart,
    shutdown: Shutdown,
    state: ChildState,
    /// The one that runs, or the last one. None before the first.
    generation: Option<u64>,
    /// It has run since the supervisor was started.
    has_run: bool,
    /// Restarts in a row without a healthy while.
    attempt: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Not started, or down.
    Down,
    /// Starts its children one after the other.
    Starting,
    Running,
    Stopping(Outcome),
}

/// The rules a supervisor follows.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) strategy: Strategy,
    pub(crate) intensity: usize,
    pub(crate) period: Duration,
    pub(crate) backoff: Backoff,
    pub(crate) on_start_failure: OnStartFailure,
    pub(crate) on_exhausted: OnExhausted,
    /// Children come and go: they are stopped together, and none outlives the supervisor's generation.
    pub(crate) dynamic: bool,
}

impl Rules {
    /// The library's defaults.
    pub(crate) fn new(dynamic: bool) -> Self {
        Rules {
            strategy: Strategy::OneForOne,
            intensity: 8,
            period: Duration::from_secs(60),
            backoff: Backoff::default(),
            on_start_failure: OnStartFailure::default(),
            on_exhausted: OnExhausted::default(),
            dynamic,
        }
    }
}

/// The state of one supervisor.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    rules: Rules,
    intensity: Intensity,
    phase: Phase,
    children: BTreeMap<Key, Child>,
    /// The child whose first start the others wait for.
    awaited: Option<Key>,
    exhausted_until: Option<Duration>,
}

impl Plan {
    pub(crate) fn new(rules: Rules) -> Self {
        let intensity = Intensity::new(rules.intensity, rules.period);
        Plan {
            rules,
            intensity,
            phase: Phase::Down,
            children: BTreeMap::new(),
            awaited: None,
            exhausted_until: None,
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

    pub(crate) fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// On its way down because of a child.
    pub(crate) fn is_giving_up(&self) -> bool {
        matches!(self.phase, Phase::Stopping(Outcome::StartFailed(_) | Outcome::Escalated(_)))
    }

    /// Adds a child after the others. To a running supervisor, it is started at once.
    pub(crate) fn add(&mut self, key: Key, restart: Restart, shutdown: Shutdown) -> Vec<Action> {
        let child = Child {
            restart,
            shutdown,
            state: ChildState::Down,
            generation: None,
            has_run: false,
            attempt: 0,
        };
        self.children.insert(key, child);
        let mut actions = Vec::new();
        if self.is_running() {
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
        }
        actions
    }

    fn begin(&mut self, actions: &mut Vec<Action>) {
        if self.phase != Phase::Down {
            return;
        }
        self.phase = Phase::Starting;
        self.intensity.reset();
        self.exhausted_until = None;
        for child in self.children.values_mut() {
            child.has_run = false;
            child.attempt = 0;
        }
        self.start_next(actions);
    }

    /// Starts the next child that is down; when there is none, the supervisor runs.
    fn start_next(&mut self, actions: &mut Vec<Action>) {
        let next =
            self.children.iter().find(|(_, child)| child.state == ChildState::Down).map(|(key, _)| *key);
        self.awaited = next;
        match next {
            Some(key) => self.start(key, Duration::ZERO, actions),
            None => {
                self.phase = Phase::Running;
                actions.push(Action::Ready);
            }
        }
    }

    fn start(&mut self, key: Key, after: Duration, actions: &mut Vec<Action>) {
        let Some(child) = self.children.get_mut(&key) else { return };
        let generation = child.generation.map_or(0, |last| last + 1);
        child.generation = Some(generation);
        child.state = ChildState::Starting;
        actions.push(Action::Start { child: key, generation, after });
    }

    fn started(&mut self, key: Key, generation: u64, now: Duration, actions: &mut Vec<Action>) {
        let Some(child) = self.children.get_mut(&key) else { return };
        if child.generation != Some(generation) || child.state != ChildState::Starting {
            return;
        }
        child.state = ChildState::Up { since: now };
        child.has_run = true;
        self.go_on_after(key, actions);
    }

    /// The others need not wait for this one any longer.
    fn go_on_after(&mut self, key: Key, actions: &mut Vec<Action>) {
        if self.phase == Phase::Starting && self.awaited == Some(key) {
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
        let Some(child) = self.children.get_mut(&key) else { return };
        // An end for good is one whatever generation it was.
        if !ended && child.generation != Some(generation) {
            return;
        }
        let before = std::mem::replace(&mut child.state, ChildState::Down);
        if let ChildState::Up { since } = before
            && now.saturating_sub(since) >= self.rules.backoff.reset_after
        {
            child.attempt = 0;
        }
        let (restart, has_run) = (child.restart, child.has_run);
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
            Phase::Starting | Phase::Running => {
                match self.verdict(key, restart, cause, ended, has_run, (now, random)) {
                    Verdict::Forget => self.forget(key, actions),
                    Verdict::Restart(after) => self.start(key, after, actions),
                    Verdict::GiveUp(outcome) => return self.stop(outcome, actions),
                }
                self.go_on_after(key, actions);
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
            Cause::Lost | Cause::Stopped => Verdict::Forget,
            _ if ended => Verdict::Forget,
            // One that was stuck when its supervisor went down has ended now that it is up again.
            Cause::RestartAsked | Cause::Halted => Verdict::Restart(Duration::ZERO),
            Cause::Finished if restart != Restart::Permanent => Verdict::Forget,
            Cause::Crash if !has_run => self.start_failed(key, restart, at),
            Cause::Crash if restart == Restart::Temporary => Verdict::Forget,
            Cause::Crash | Cause::Finished => self.spend(key, at),
        }
    }

    /// A first start that failed.
    fn start_failed(&mut self, key: Key, restart: Restart, at: (Duration, f64)) -> Verdict {
        match self.rules.on_start_failure {
            OnStartFailure::Fail if self.phase == Phase::Starting => {
                Verdict::GiveUp(Outcome::StartFailed(key))
            }
            // Added at run time: whoever added it hears of it.
            OnStartFailure::Fail => Verdict::Forget,
            OnStartFailure::Retry if restart == Restart::Temporary => Verdict::Forget,
            OnStartFailure::Retry => self.spend(key, at),
        }
    }

    /// A restart that counts.
    fn spend(&mut self, key: Key, (now, random): (Duration, f64)) -> Verdict {
        let backoff = self.rules.backoff;
        if self.intensity.spend(now) {
            let Some(child) = self.children.get_mut(&key) else { return Verdict::Forget };
            let pause = backoff.pause(child.attempt, random);
            child.attempt = child.attempt.saturating_add(1);
            return Verdict::Restart(pause);
        }
        self.exhausted_until = Some(now + self.rules.period);
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

    fn stop(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        match self.phase {
            Phase::Down => return actions.push(Action::Down(outcome)),
            Phase::Stopping(before) => {
                // For good is the stronger word.
                if let Outcome::Ordered { .. } = outcome
                    && before != (Outcome::Ordered { for_good: true })
                {
                    self.phase = Phase::Stopping(outcome);
                }
                return;
            }
            Phase::Starting | Phase::Running => {}
        }
        self.phase = Phase::Stopping(outcome);
        if self.rules.dynamic {
            self.stop_together(outcome, actions);
        }
        self.stop_next(outcome, actions);
    }

    /// All at once, under one timer.
    fn stop_together(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        let mut limit = Some(Duration::ZERO);
        let keys: Vec<Key> = self.children.keys().copied().collect();
        for key in keys {
            let child_limit = self.end_child(key, outcome, actions);
            limit = limit.zip(child_limit).map(|(all, one)| all.max(one));
        }
        actions.push(Action::Arm(limit));
    }

    /// The last child that still runs is to end; when there is none, the supervisor is down.
    fn stop_next(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        let last = self
            .children
            .iter()
            .rev()
            .find(|(_, child)| !matches!(child.state, ChildState::Down | ChildState::Stuck))
            .map(|(key, child)| (*key, child.state));
        match last {
            Some((_, ChildState::Ending { .. })) => {}
            Some((key, _)) => {
                let limit = self.end_child(key, outcome, actions);
                actions.push(Action::Arm(limit));
            }
            None => {
                self.phase = Phase::Down;
                actions.push(Action::Arm(None));
                actions.push(Action::Down(outcome));
            }
        }
    }

    /// Gives how long it may take.
    fn end_child(&mut self, key: Key, outcome: Outcome, actions: &mut Vec<Action>) -> Option<Duration> {
        let dynamic = self.rules.dynamic;
        let child = self.children.get_mut(&key)?;
        if matches!(child.state, ChildState::Down | ChildState::Stuck) {
            return Some(Duration::ZERO);
        }
        let for_good = outcome == (Outcome::Ordered { for_good: true })
            || dynamic
            || child.restart == Restart::Temporary;
        let (action, killed, limit) = match child.shutdown {
            Shutdown::Brutal => (Action::Abort { child: key, for_good }, true, Some(KILL_GRACE)),
            Shutdown::Timeout(limit) => (Action::Halt { child: key, for_good }, false, Some(limit)),
            Shutdown::Infinity => (Action::Halt { child: key, for_good }, false, None),
        };
        child.state = ChildState::Ending { killed };
        actions.push(action);
        limit
    }

    fn abort(&mut self, for_good: bool, actions: &mut Vec<Action>) {
        let outcome = Outcome::Ordered { for_good };
        if self.phase == Phase::Down {
            return actions.push(Action::Down(outcome));
        }
        self.phase = Phase::Stopping(outcome);
        for (key, child) in &mut self.children {
            if !matches!(child.state, ChildState::Down | ChildState::Stuck) {
                child.state = ChildState::Ending { killed: true };
                actions.push(Action::Abort { child: *key, for_good });
            }
        }
        actions.push(Action::Arm(Some(KILL_GRACE)));
        self.stop_next(outcome, actions);
    }

    /// Whoever was asked is killed; whoever was killed is stuck.
    fn deadline(&mut self, actions: &mut Vec<Action>) {
        let Phase::Stopping(outcome) = self.phase else { return };
        let for_good = outcome == (Outcome::Ordered { for_good: true }) || self.rules.dynamic;
        let mut asked = false;
        for (key, child) in &mut self.children {
            match child.state {
                ChildState::Ending { killed: false } => {
                    asked = true;
                    child.state = ChildState::Ending { killed: true };
                    let for_good = for_good || child.restart == Restart::Temporary;
                    actions.push(Action::Abort { child: *key, for_good });
                }
                ChildState::Ending { killed: true } => {
                    child.state = ChildState::Stuck;
                    actions.push(Action::Stuck { child: *key });
                }
                _ => {}
            }
        }
        if asked {
            actions.push(Action::Arm(Some(KILL_GRACE)));
        }
        self.stop_next(outcome, actions);
    }
}

enum Verdict {
    Forget,
    Restart(Duration),
    GiveUp(Outcome),
}
