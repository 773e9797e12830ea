//! How a [`Plan`] brings children down: in reverse order or together, in time or by force.

use std::time::Duration;

use crate::supervisor::{
    Restart, Shutdown,
    strategy::{
        Action, KILL_GRACE, Key, Outcome,
        plan::{Child, ChildState, Phase, Plan},
    },
};

impl Plan {
    pub(super) fn stop(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
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
            Phase::Starting { .. } | Phase::Running | Phase::Regrouping { .. } => {}
        }
        self.phase = Phase::Stopping(outcome);
        if self.rules.dynamic {
            self.stop_together(actions);
        }
        self.stop_next(outcome, actions);
    }

    /// All at once, under one timer. It does not count for those that may take for ever.
    fn stop_together(&mut self, actions: &mut Vec<Action>) {
        let keys: Vec<Key> = self.children.keys().copied().collect();
        let limits = keys.into_iter().map(|key| self.end_child(key, true, actions));
        let limit = limits.flatten().max();
        actions.push(Action::Arm(limit));
    }

    /// The last child that still runs is to end; when there is none, the supervisor is down.
    pub(super) fn stop_next(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        match self.last_live(Key::MIN) {
            Some((_, ChildState::Ending { .. })) => {}
            Some((key, _)) => {
                let for_good = outcome == (Outcome::Ordered { for_good: true });
                let limit = self.end_child(key, for_good, actions);
                actions.push(Action::Arm(limit));
            }
            None => {
                self.phase = Phase::Down;
                actions.push(Action::Arm(None));
                actions.push(Action::Down(outcome));
            }
        }
    }

    pub(super) fn last_live(&mut self, from: Key) -> Option<(Key, ChildState)> {
        let live = |(_, child): &(&Key, &Child)| !matches!(child.state, ChildState::Down | ChildState::Stuck);
        let from = from.min(self.bounds.live_below);
        let last = self.children.range(from..self.bounds.live_below).rev().find(live);
        let last = last.map(|(key, child)| (*key, child.state));
        self.bounds.live_below = last.map_or(from, |(key, _)| key.saturating_add(1));
        last
    }

    /// Gives how long it may take.
    pub(super) fn end_child(
        &mut self,
        key: Key,
        for_good: bool,
        actions: &mut Vec<Action>,
    ) -> Option<Duration> {
        let dynamic = self.rules.dynamic;
        let child = self.children.get_mut(&key)?;
        if matches!(child.state, ChildState::Down | ChildState::Stuck) {
            return Some(Duration::ZERO);
        }
        let for_good = for_good || dynamic || child.restart == Restart::Temporary;
        let (action, killed, limit) = match child.shutdown {
            Shutdown::Brutal => (Action::Abort { child: key, for_good }, true, Some(KILL_GRACE)),
            Shutdown::Timeout(limit) => (Action::Halt { child: key, for_good }, false, Some(limit)),
            Shutdown::Infinity => (Action::Halt { child: key, for_good }, false, None),
        };
        child.state = ChildState::Ending { killed };
        actions.push(action);
        limit
    }

    pub(super) fn abort(&mut self, for_good: bool, actions: &mut Vec<Action>) {
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

    /// A child that somebody killed holds its thread: the others do not wait for it. Its end, when it comes, is judged
    /// as that of any child that was killed.
    pub(super) fn overdue(&mut self, key: Key, generation: u64, actions: &mut Vec<Action>) {
        if !self.is_current(key, generation) {
            return;
        }
        let Some(child) = self.children.get_mut(&key) else { return };
        child.state = ChildState::Stuck;
        let has_run = child.has_run;
        actions.push(Action::Stuck { child: key });
        match self.phase {
            Phase::Stopping(outcome) => self.stop_next(outcome, actions),
            Phase::Regrouping { .. } => self.regroup_next(actions),
            // Whether its first start fails is not known yet.
            Phase::Starting { .. } if !has_run => {}
            Phase::Starting { .. } | Phase::Running | Phase::Down => self.go_on_after(key, actions),
        }
    }

    /// Whoever was asked is killed; whoever was killed is stuck, unless it is a supervisor, which waits for others.
    pub(super) fn deadline(&mut self, actions: &mut Vec<Action>) {
        let for_good = match self.phase {
            Phase::Stopping(outcome) => {
                outcome == (Outcome::Ordered { for_good: true }) || self.rules.dynamic
            }
            Phase::Regrouping { .. } => false,
            _ => return,
        };
        let mut asked = false;
        for (key, child) in &mut self.children {
            match child.state {
                ChildState::Ending { killed: false } if child.shutdown != Shutdown::Infinity => {
                    asked = true;
                    child.state = ChildState::Ending { killed: true };
                    let for_good = for_good || child.restart == Restart::Temporary;
                    actions.push(Action::Abort { child: *key, for_good });
                }
                ChildState::Ending { killed: true } if !child.supervises => {
                    child.state = ChildState::Stuck;
                    actions.push(Action::Stuck { child: *key });
                }
                _ => {}
            }
        }
        if asked {
            actions.push(Action::Arm(Some(KILL_GRACE)));
        }
        match self.phase {
            Phase::Stopping(outcome) => self.stop_next(outcome, actions),
            _ => self.regroup_next(actions),
        }
    }
}
