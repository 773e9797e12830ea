//! The plan compared with a small model of OTP's `supervisor`, and driven by exits in any order.
//!
//! The model does at once and in one go what the plan does in steps. It follows `supervisor.erl`'s `restart/3`; where
//! we differ it does too: a child that ended for good is forgotten at once, also a transient one.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use proptest::{
    prelude::{Just, ProptestConfig, Strategy as Random, any, prop},
    prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::{Action, Event, Key, Member, Outcome, Plan, Rules, plan::ChildState};
use crate::{
    supervisor::{AutoShutdown, OnStartFailure, Restart, Shutdown, Strategy},
    task::Cause,
};

/// What one sees from outside.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Step {
    Start(usize),
    Stop(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    Crash,
    Normal,
    /// By somebody, for good.
    Stopped,
}

#[derive(Clone, Debug)]
struct Scenario {
    strategy: Strategy,
    intensity: usize,
    auto_shutdown: AutoShutdown,
    children: Vec<(Restart, bool)>,
    /// After a pause of so many seconds, this child ends, and the next starts of these children fail.
    exits: Vec<(u64, usize, End, Vec<usize>)>,
    fails_first: Option<usize>,
}

const PERIOD: Duration = Duration::from_secs(10);

fn scenarios() -> impl Random<Value = Scenario> {
    let strategy =
        prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)];
    let auto_shutdown = prop_oneof![
        Just(AutoShutdown::Never),
        Just(AutoShutdown::AnySignificant),
        Just(AutoShutdown::AllSignificant)
    ];
    let restart = prop_oneof![3 => Just(Restart::Permanent), 2 => Just(Restart::Transient), 1 => Just(Restart::Temporary)];
    let child = (restart, any::<bool>())
        .prop_map(|(restart, significant)| (restart, significant && restart != Restart::Permanent));
    let end = prop_oneof![4 => Just(End::Crash), 2 => Just(End::Normal), 1 => Just(End::Stopped)];
    let exit = (0u64..8, 0usize..6, end, prop::collection::vec(0usize..6, 0..3));
    (
        strategy,
        0usize..6,
        auto_shutdown,
        prop::collection::vec(child, 1..6),
        prop::collection::vec(exit, 0..12),
        prop::option::weighted(0.1, 0usize..6),
    )
        .prop_map(|(strategy, intensity, auto_shutdown, children, exits, fails_first)| Scenario {
            strategy,
            intensity,
            auto_shutdown,
            children,
            exits,
            fails_first,
        })
}

/// OTP's supervisor, as its documentation reads.
struct Model<'a> {
    scenario: &'a Scenario,
    /// In order; what ended for good is not in here. True: it runs.
    children: Vec<(usize, bool)>,
    restarts: Vec<Duration>,
    failing: Vec<usize>,
    steps: Vec<Step>,
    outcome: Option<Outcome>,
}

impl<'a> Model<'a> {
    fn start(scenario: &'a Scenario) -> Self {
        let mut model = Model {
            scenario,
            children: (0..scenario.children.len()).map(|id| (id, false)).collect(),
            restarts: Vec::new(),
            failing: scenario.fails_first.into_iter().collect(),
            steps: Vec::new(),
            outcome: None,
        };
        if let Err(failed) = model.start_from(0) {
            model.terminate_from(0);
            model.outcome = Some(Outcome::StartFailed(failed as Key));
        }
        model
    }

    fn start_from(&mut self, position: usize) -> Result<(), usize> {
        for (id, runs) in &mut self.children[position..] {
            if *runs {
                continue;
            }
            self.steps.push(Step::Start(*id));
            if let Some(at) = self.failing.iter().position(|failing| failing == id) {
                self.failing.remove(at);
                return Err(*id);
            }
            *runs = true;
        }
        Ok(())
    }

    fn terminate_from(&mut self, position: usize) {
        for (id, runs) in self.children[position..].iter_mut().rev() {
            if std::mem::replace(runs, false) {
                self.steps.push(Step::Stop(*id));
            }
        }
    }

    fn exit(&mut self, now: Duration, id: usize, end: End) {
        let Some(position) = self.children.iter().position(|(child, _)| *child == id) else { return };
        self.children[position].1 = false;
        let (restart, significant) = self.scenario.children[id];
        match (restart, end) {
            (_, End::Stopped) => drop(self.children.remove(position)),
            (Restart::Temporary, _) | (Restart::Transient, End::Normal) => {
                self.children.remove(position);
                let remaining = self.children.iter().any(|(child, _)| self.scenario.children[*child].1);
                let shuts_down = match self.scenario.auto_shutdown {
                    AutoShutdown::Never => false,
                    AutoShutdown::AnySignificant => significant,
                    AutoShutdown::AllSignificant => significant && !remaining,
                };
                if shuts_down {
                    self.terminate_from(0);
                    self.outcome = Some(Outcome::AutoShutdown);
                }
            }
            _ => self.restart(now, id),
        }
    }

    fn restart(&mut self, now: Duration, id: usize) {
        let mut id = id;
        loop {
            self.restarts.push(now);
            self.restarts.retain(|at| now - *at <= PERIOD);
            if self.restarts.len() > self.scenario.intensity {
                self.terminate_from(0);
                self.outcome = Some(Outcome::Escalated(id as Key));
                return;
            }
            let position = self.children.iter().position(|(child, _)| *child == id).expect("it is kept");
            let first = if self.scenario.strategy == Strategy::OneForAll { 0 } else { position };
            if self.scenario.strategy != Strategy::OneForOne {
                self.terminate_from(first);
                let scenario = self.scenario;
                let at_or_after: BTreeSet<usize> = self.children[first..].iter().map(|(id, _)| *id).collect();
                self.children.retain(|(child, _)| {
                    !at_or_after.contains(child) || scenario.children[*child].0 != Restart::Temporary
                });
            }
            match self.start_from(first) {
                Ok(()) => return,
                Err(failed) => id = failed,
            }
        }
    }
}

/// A plan and children that do what they are told.
struct World {
    plan: Plan,
    /// What runs, and its generation.
    alive: BTreeMap<Key, u64>,
    generations: BTreeMap<Key, u64>,
    failing: Vec<usize>,
    /// What each child has told that the plan has not read.
    unread: BTreeMap<Key, VecDeque<Event>>,
    /// Killed, and blocking their threads, with the orders that wait there: is each for good?
    blocked: BTreeMap<Key, Vec<bool>>,
    steps: Vec<Step>,
    outcome: Option<Outcome>,
    ready: usize,
}

impl World {
    fn start(scenario: &Scenario, on_start_failure: OnStartFailure) -> Self {
        let rules = Rules {
            strategy: scenario.strategy,
            intensity: scenario.intensity,
            period: PERIOD,
            auto_shutdown: scenario.auto_shutdown,
            on_start_failure,
            ..Rules::new(false)
        };
        let mut plan = Plan::new(rules);
        for (key, (restart, significant)) in scenario.children.iter().enumerate() {
            let (restart, significant) = (*restart, *significant);
            let member = Member { restart, shutdown: Shutdown::default(), significant, supervises: false };
            plan.add(key as Key, member);
        }
        World {
            plan,
            alive: BTreeMap::new(),
            generations: BTreeMap::new(),
            failing: scenario.fails_first.into_iter().collect(),
            unread: BTreeMap::new(),
            blocked: BTreeMap::new(),
            steps: Vec::new(),
            outcome: None,
            ready: 0,
        }
    }

    fn feed(&mut self, event: Event, now: Duration) {
        let actions = self.plan.handle(event, now, 0.5);
        self.check_bounds();
        for action in actions {
            match action {
                Action::Start { child, generation, .. } => {
                    assert!(!self.alive.contains_key(&child), "{child} is started while it runs");
                    assert!(self.generations.get(&child).is_none_or(|last| *last < generation));
                    self.generations.insert(child, generation);
                    self.steps.push(Step::Start(child as usize));
                    if let Some(at) = self.failing.iter().position(|id| *id as Key == child) {
                        self.failing.remove(at);
                        self.say(child, Cause::Crash, false);
                    } else {
                        self.alive.insert(child, generation);
                        self.unread.entry(child).or_default().push_back(Event::Started { child, generation });
                    }
                }
                Action::Halt { child, for_good } | Action::Abort { child, for_good } => {
                    if let Some(waiting) = self.blocked.get_mut(&child) {
                        waiting.push(for_good);
                        continue;
                    }
                    // One that has ended meanwhile answers all the same.
                    if self.alive.remove(&child).is_some() {
                        self.steps.push(Step::Stop(child as usize));
                    }
                    self.say(child, if for_good { Cause::Stopped } else { Cause::Halted }, for_good);
                }
                Action::Close { child } => assert!(!self.alive.contains_key(&child), "{child} still runs"),
                Action::Down(outcome) => assert_eq!(self.outcome.replace(outcome), None),
                Action::Ready => self.ready += 1,
                Action::Stuck { child } => assert!(self.blocked.contains_key(&child), "{child} is not stuck"),
                Action::Arm(_) => {}
            }
        }
    }

    /// What the plan does not look at is as it takes it to be.
    fn check_bounds(&self) {
        for (key, child) in &self.plan.children {
            let (down, stuck) = (child.state == ChildState::Down, child.state == ChildState::Stuck);
            assert!(!down || *key >= self.plan.bounds.down_from, "{key} is down: {:?}", self.plan);
            assert!(down || stuck || *key < self.plan.bounds.live_below, "{key} is live: {:?}", self.plan);
        }
    }

    fn say(&mut self, child: Key, cause: Cause, ended: bool) {
        let generation = self.generations[&child];
        let event = Event::Exited { child, generation, cause, ended };
        self.unread.entry(child).or_default().push_back(event);
    }

    fn end(&mut self, child: usize, end: End) {
        let child = child as Key;
        if !self.blocked.contains_key(&child) && self.alive.remove(&child).is_some() {
            match end {
                End::Crash => self.say(child, Cause::Crash, false),
                End::Normal => self.say(child, Cause::Finished, false),
                End::Stopped => self.say(child, Cause::Stopped, true),
            }
        }
    }

    /// Somebody kills the child while it blocks its thread.
    fn block(&mut self, child: usize, now: Duration) {
        let child = child as Key;
        // What it has told was told before.
        while let Some(event) = self.unread.get_mut(&child).and_then(VecDeque::pop_front) {
            self.feed(event, now);
        }
        if self.alive.contains_key(&child) {
            self.blocked.entry(child).or_default();
        }
    }

    /// The time that the kills had is over.
    fn overdue(&mut self, now: Duration) {
        let blocked: Vec<Key> = self.blocked.keys().copied().collect();
        for child in blocked {
            self.feed(Event::Overdue { child, generation: self.generations[&child] }, now);
        }
    }

    /// All threads are free: what was ordered there is obeyed, the kill first.
    fn free(&mut self) {
        for (child, waiting) in std::mem::take(&mut self.blocked) {
            self.alive.remove(&child);
            self.say(child, Cause::Crash, false);
            for for_good in waiting {
                self.say(child, if for_good { Cause::Stopped } else { Cause::Halted }, for_good);
            }
        }
    }

    /// Has the plan read one event of one child. False: there is none.
    fn read_one(&mut self, choice: usize, now: Duration) -> bool {
        self.unread.retain(|_, events| !events.is_empty());
        if self.unread.is_empty() {
            return false;
        }
        let at = choice % self.unread.len();
        let event = self.unread.values_mut().nth(at).and_then(VecDeque::pop_front).expect("one waits");
        self.feed(event, now);
        true
    }

    fn settle(&mut self, now: Duration) {
        while self.read_one(0, now) {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn the_plan_does_what_otps_supervisor_does(scenario in scenarios()) {
        let mut model = Model::start(&scenario);
        let mut world = World::start(&scenario, OnStartFailure::Fail);
        let mut now = Duration::ZERO;
        world.feed(Event::Start, now);
        world.settle(now);
        for (pause, child, end, failing) in &scenario.exits {
            prop_assert_eq!(&world.steps, &model.steps);
            prop_assert_eq!(world.outcome, model.outcome);
            if model.outcome.is_some() {
                prop_assert!(world.alive.is_empty());
                return Ok(());
            }
            prop_assert_eq!(world.ready, 1);
            now += Duration::from_secs(*pause);
            world.failing.clone_from(failing);
            model.failing.clone_from(failing);
            model.exit(now, *child, *end);
            world.end(*child, *end);
            world.settle(now);
        }
        prop_assert_eq!(&world.steps, &model.steps);
        prop_assert_eq!(world.outcome, model.outcome);
        let running: Vec<usize> = world.alive.keys().map(|key| *key as usize).collect();
        let expected: Vec<usize> = model.children.iter().filter(|child| child.1).map(|child| child.0).collect();
        prop_assert_eq!(running, expected);
    }

    /// Exits come while others are read, in any order between children: in the end all that is kept runs, or nothing.
    #[test]
    fn exits_in_any_order_leave_everything_up_or_everything_down(
        scenario in scenarios(),
        choices in prop::collection::vec((any::<usize>(), 0usize..4), 0..80),
    ) {
        let mut world = World::start(&scenario, OnStartFailure::Retry);
        world.feed(Event::Start, Duration::ZERO);
        let mut exits = scenario.exits.iter();
        for (choice, what) in choices {
            if what == 0 {
                if let Some((_, child, end, failing)) = exits.next() {
                    world.failing.clone_from(failing);
                    world.end(*child, *end);
                }
            } else {
                world.read_one(choice, Duration::ZERO);
            }
        }
        world.settle(Duration::ZERO);
        if world.outcome.is_some() {
            prop_assert!(world.alive.is_empty(), "{:?} run below a supervisor that is down", world.alive);
        } else {
            prop_assert!(world.plan.is_running());
            let kept: Vec<Key> =
                (0..scenario.children.len() as Key).filter(|key| world.plan.brings_back(*key)).collect();
            prop_assert_eq!(world.alive.keys().copied().collect::<Vec<_>>(), kept);
            world.feed(Event::Stop { for_good: true }, Duration::ZERO);
            world.settle(Duration::ZERO);
            prop_assert_eq!(world.outcome, Some(Outcome::Ordered { for_good: true }));
            prop_assert!(world.alive.is_empty());
        }
    }

    /// Children that were killed in vain hold up nobody; when they end at last, everything is up or down as ever.
    #[test]
    fn children_that_are_killed_and_do_not_end_are_passed_over(
        scenario in scenarios(),
        choices in prop::collection::vec((any::<usize>(), 0usize..6), 0..80),
    ) {
        let mut world = World::start(&scenario, OnStartFailure::Retry);
        world.feed(Event::Start, Duration::ZERO);
        let mut exits = scenario.exits.iter();
        for (choice, what) in choices {
            match what {
                0 => {
                    if let Some((_, child, end, _)) = exits.next() {
                        world.end(*child, *end);
                    }
                }
                1 => world.block(choice % scenario.children.len(), Duration::ZERO),
                2 if choice % 3 == 0 => world.overdue(Duration::ZERO),
                3 if choice % 5 == 0 => world.free(),
                _ => drop(world.read_one(choice, Duration::ZERO)),
            }
        }
        world.overdue(Duration::ZERO);
        world.settle(Duration::ZERO);
        prop_assert!(world.outcome.is_some() || world.plan.is_running(), "somebody waits for one that is stuck");
        world.free();
        world.settle(Duration::ZERO);
        if world.outcome.is_some() {
            prop_assert!(world.alive.is_empty(), "{:?} run below a supervisor that is down", world.alive);
        } else {
            let kept: Vec<Key> =
                (0..scenario.children.len() as Key).filter(|key| world.plan.brings_back(*key)).collect();
            prop_assert_eq!(world.alive.keys().copied().collect::<Vec<_>>(), kept);
        }
    }
}
