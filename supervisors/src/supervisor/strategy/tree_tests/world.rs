//! Plans, and what carries out what they say.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use super::{
    PERIOD, ROOT,
    drawn::{Deed, Node, Step},
};
use crate::{
    supervisor::{
        OnStartFailure, Shutdown,
        strategy::{Action, Event, Key, Member, Outcome, Plan, Rules},
    },
    task::Cause,
};

/// What there is of a node: a worker, or the task of a supervisor.
struct Live {
    /// None for a worker.
    plan: Option<Plan>,
    runs: bool,
    gone: bool,
    generation: u64,
    /// The end that was ordered, of a supervisor.
    closing: Option<Cause>,
}

/// Plans, their supervisors' tasks as far as they matter here, and workers that do what they are told.
pub(super) struct World<'a> {
    nodes: &'a [Node],
    live: Vec<Live>,
    pub(super) failing: Vec<usize>,
    /// What each child has told that its supervisor has not read.
    unread: BTreeMap<usize, VecDeque<Event>>,
    pub(super) steps: Vec<Step>,
    pub(super) outcome: Option<Outcome>,
    pub(super) now: Duration,
}

impl<'a> World<'a> {
    pub(super) fn start(nodes: &'a [Node], failing: Vec<usize>, strict: bool) -> Self {
        let live = |node: &Node| {
            let plan = node.supervision.as_ref().map(|supervision| {
                let on_start_failure =
                    if strict { OnStartFailure::Fail } else { supervision.on_start_failure };
                let mut plan = Plan::new(Rules {
                    strategy: supervision.strategy,
                    intensity: supervision.intensity,
                    period: PERIOD,
                    auto_shutdown: supervision.auto_shutdown,
                    on_start_failure,
                    ..Rules::new(false)
                });
                for (key, child) in node.children.iter().map(|child| &nodes[*child]).enumerate() {
                    let supervises = child.supervision.is_some();
                    let (restart, significant) = (child.restart, child.significant);
                    let shutdown = if supervises { Shutdown::Infinity } else { Shutdown::default() };
                    plan.add(key as Key, Member { restart, shutdown, significant, supervises });
                }
                plan
            });
            Live { plan, runs: false, gone: false, generation: 0, closing: None }
        };
        let live = nodes.iter().map(live).collect();
        let (unread, now) = (BTreeMap::new(), Duration::ZERO);
        let mut world = World { nodes, live, failing, unread, steps: Vec::new(), outcome: None, now };
        world.begin(ROOT, 0);
        world
    }

    fn begin(&mut self, node: usize, generation: u64) {
        assert!(!self.live[node].runs, "{node} is started while it runs");
        assert!(!self.live[node].gone, "{node} is started although it is gone");
        self.live[node].generation = generation;
        self.steps.push(Step::Start(node));
        if self.live[node].plan.is_some() {
            self.live[node].runs = true;
            return self.feed(node, Event::Start);
        }
        if let Some(at) = self.failing.iter().position(|failing| *failing == node) {
            self.failing.remove(at);
            self.say_ended(node, Cause::Crash);
        } else {
            self.live[node].runs = true;
            self.say_started(node);
        }
    }

    fn feed(&mut self, supervisor: usize, event: Event) {
        let plan = self.live[supervisor].plan.as_mut().expect("a supervisor");
        for action in plan.handle(event, self.now, 0.5) {
            let child = |key: Key| self.nodes[supervisor].children[usize::try_from(key).expect("few")];
            match action {
                Action::Start { child: key, generation, .. } => self.begin(child(key), generation),
                Action::Halt { child: key, for_good } | Action::Abort { child: key, for_good } => {
                    self.end(child(key), if for_good { Cause::Stopped } else { Cause::Halted });
                }
                Action::Close { child: key } => {
                    let node = child(key);
                    assert!(!self.live[node].runs, "{node} still runs");
                    self.live[node].gone = true;
                    self.check_down(node);
                }
                Action::Ready => self.say_started(supervisor),
                Action::Down(outcome) => self.down(supervisor, outcome),
                Action::Stuck { child: key } => panic!("{} is not stuck", child(key)),
                Action::Arm(_) => {}
            }
        }
    }

    /// As a supervisor's task obeys, and a worker's.
    pub(super) fn end(&mut self, node: usize, cause: Cause) {
        let Live { plan, runs, closing, .. } = &mut self.live[node];
        if plan.is_some() && *runs {
            if *closing != Some(Cause::Stopped) {
                *closing = Some(cause);
            }
            return self.feed(node, Event::Stop { for_good: cause == Cause::Stopped });
        }
        if std::mem::replace(runs, false) {
            self.steps.push(Step::Stop(node));
        }
        self.say_ended(node, cause);
    }

    fn down(&mut self, supervisor: usize, outcome: Outcome) {
        self.check_down(supervisor);
        let closing = self.live[supervisor].closing.take();
        self.live[supervisor].runs = false;
        if supervisor == ROOT {
            assert_eq!(self.outcome.replace(outcome), None);
            return;
        }
        let cause = match outcome {
            Outcome::Ordered { for_good: true } => Cause::Stopped,
            Outcome::Ordered { for_good: false } => closing.unwrap_or(Cause::Halted),
            Outcome::AutoShutdown => Cause::Finished,
            Outcome::StartFailed(_) | Outcome::Escalated(_) => Cause::Crash,
        };
        self.say_ended(supervisor, cause);
    }

    /// Nothing runs below a supervisor that does not.
    fn check_down(&self, node: usize) {
        for child in &self.nodes[node].children {
            assert!(!self.live[*child].runs, "{child} runs, and {node} above it is down");
            self.check_down(*child);
        }
    }

    fn say_started(&mut self, node: usize) {
        if let Some((_, child)) = self.nodes[node].above {
            let event = Event::Started { child, generation: self.live[node].generation };
            self.unread.entry(node).or_default().push_back(event);
        }
    }

    fn say_ended(&mut self, node: usize, cause: Cause) {
        let Some((_, child)) = self.nodes[node].above else { return };
        let Live { generation, gone, .. } = &mut self.live[node];
        let (generation, ended) = (*generation, cause == Cause::Stopped);
        if !std::mem::replace(gone, *gone || ended) {
            let event = Event::Exited { child, generation, cause, ended };
            self.unread.entry(node).or_default().push_back(event);
        }
    }

    pub(super) fn happens(&mut self, node: usize, deed: Deed) {
        if !self.live[node].runs {
            return;
        }
        let is_worker = self.live[node].plan.is_none();
        match deed {
            Deed::Crash | Deed::Finish if is_worker => {
                self.live[node].runs = false;
                self.say_ended(node, if deed == Deed::Crash { Cause::Crash } else { Cause::Finished });
            }
            Deed::Stop if is_worker => {
                self.live[node].runs = false;
                self.say_ended(node, Cause::Stopped);
            }
            Deed::Stop => self.end(node, Cause::Stopped),
            Deed::Crash | Deed::Finish => {
                if self.live[node].closing.is_none() {
                    self.end(node, Cause::RestartAsked);
                }
            }
        }
    }

    /// Has one supervisor read one event. False: there is none.
    pub(super) fn read_one(&mut self, choice: usize) -> bool {
        self.unread.retain(|_, events| !events.is_empty());
        let Some(at) = choice.checked_rem(self.unread.len()) else { return false };
        let (node, events) = self.unread.iter_mut().nth(at).expect("so many");
        let event = events.pop_front().expect("one waits");
        let (above, _) = self.nodes[*node].above.expect("the root tells nobody");
        self.feed(above, event);
        true
    }

    pub(super) fn settle(&mut self) {
        while self.read_one(0) {}
    }

    pub(super) fn running(&self) -> Vec<usize> {
        (0..self.nodes.len()).filter(|node| self.live[*node].runs).collect()
    }

    /// Every supervisor that runs has all its children running that it keeps.
    pub(super) fn check_whole(&self) {
        for (number, live) in self.live.iter().enumerate().filter(|(_, live)| live.runs) {
            let Some(plan) = &live.plan else { continue };
            assert!(plan.is_running(), "{number} is neither up nor down: {plan:?}");
            for (key, child) in self.nodes[number].children.iter().enumerate() {
                let kept = plan.brings_back(key as Key);
                assert_eq!(self.live[*child].runs, kept, "{child} below {number}: {plan:?}");
            }
        }
    }
}
