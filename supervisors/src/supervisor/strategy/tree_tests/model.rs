//! OTP's rules for whole trees. At once and in one go, what the plans do in steps.

use std::time::Duration;

use super::{
    PERIOD, ROOT,
    drawn::{Deed, Node, Step, Supervision},
};
use crate::supervisor::{
    AutoShutdown, Restart, Strategy,
    strategy::{Key, Outcome},
};

/// What OTP makes of one supervisor.
#[derive(Clone, Default)]
struct Family {
    /// In order; what ended for good is not in here. True: it runs.
    children: Vec<(usize, bool)>,
    restarts: Vec<Duration>,
}

/// OTP's supervisors, as their documentation reads.
pub(super) struct Model<'a> {
    nodes: &'a [Node],
    families: Vec<Family>,
    pub(super) failing: Vec<usize>,
    pub(super) steps: Vec<Step>,
    pub(super) outcome: Option<Outcome>,
    now: Duration,
}

impl<'a> Model<'a> {
    pub(super) fn start(nodes: &'a [Node], failing: Vec<usize>) -> Self {
        let family = |node: &Node| Family {
            children: node.children.iter().map(|child| (*child, false)).collect(),
            restarts: Vec::new(),
        };
        let families = nodes.iter().map(family).collect();
        let now = Duration::ZERO;
        let mut model = Model { nodes, families, failing, steps: Vec::new(), outcome: None, now };
        model.steps.push(Step::Start(ROOT));
        if let Err(failed) = model.start_from(ROOT, 0) {
            model.terminate_from(ROOT, 0);
            model.outcome = Some(Outcome::StartFailed(model.key(failed)));
        }
        model
    }

    fn key(&self, node: usize) -> Key {
        self.nodes[node].above.map_or(Key::MAX, |(_, key)| key)
    }

    fn supervision(&self, node: usize) -> &'a Supervision {
        self.nodes[node].supervision.as_ref().expect("a supervisor")
    }

    fn start_node(&mut self, node: usize) -> Result<(), ()> {
        self.steps.push(Step::Start(node));
        if self.nodes[node].supervision.is_none() {
            let failing = self.failing.iter().position(|failing| *failing == node);
            return failing.map_or(Ok(()), |at| {
                self.failing.remove(at);
                Err(())
            });
        }
        self.families[node].restarts.clear();
        self.start_from(node, 0).map_err(|_| self.terminate_from(node, 0))
    }

    /// Or says who did not start.
    fn start_from(&mut self, supervisor: usize, position: usize) -> Result<(), usize> {
        for at in position..self.families[supervisor].children.len() {
            let (node, runs) = self.families[supervisor].children[at];
            if !runs {
                self.start_node(node).map_err(|()| node)?;
                self.families[supervisor].children[at].1 = true;
            }
        }
        Ok(())
    }

    /// Temporary children that ran do not come back.
    fn terminate_from(&mut self, supervisor: usize, position: usize) {
        for at in (position..self.families[supervisor].children.len()).rev() {
            let (node, runs) = self.families[supervisor].children[at];
            if runs {
                self.terminate(node);
                self.families[supervisor].children[at].1 = false;
                if self.nodes[node].restart == Restart::Temporary {
                    self.families[supervisor].children.remove(at);
                }
            }
        }
    }

    fn terminate(&mut self, node: usize) {
        if self.nodes[node].supervision.is_some() {
            self.terminate_from(node, 0);
        } else {
            self.steps.push(Step::Stop(node));
        }
    }

    pub(super) fn runs(&self, node: usize) -> bool {
        let Some((above, _)) = self.nodes[node].above else { return self.outcome.is_none() };
        self.runs(above) && self.families[above].children.contains(&(node, true))
    }

    pub(super) fn happens(&mut self, now: Duration, node: usize, deed: Deed) {
        self.now = now;
        if !self.runs(node) {
            return;
        }
        let is_worker = self.nodes[node].supervision.is_none();
        if !is_worker {
            self.terminate_from(node, 0);
        }
        if deed == Deed::Stop || is_worker {
            return self.ended(node, deed);
        }
        // By hand, and not counted.
        if self.start_node(node).is_err() {
            self.ended(node, Deed::Crash);
        }
    }

    /// By itself, or stopped by hand.
    fn ended(&mut self, node: usize, deed: Deed) {
        let (above, _) = self.nodes[node].above.expect("not the root");
        let children = &mut self.families[above].children;
        let position = children.iter().position(|child| child.0 == node).expect("it ran");
        children[position].1 = false;
        let Node { restart, significant, .. } = self.nodes[node];
        match (restart, deed) {
            (_, Deed::Stop) => drop(children.remove(position)),
            (Restart::Temporary, _) | (Restart::Transient, Deed::Finish) => {
                children.remove(position);
                let others = children.iter().any(|child| self.nodes[child.0].significant);
                let shuts_down = match self.supervision(above).auto_shutdown {
                    AutoShutdown::Never => false,
                    AutoShutdown::AnySignificant => significant,
                    AutoShutdown::AllSignificant => significant && !others,
                };
                if shuts_down {
                    self.gives_up(above, Deed::Finish, Outcome::AutoShutdown);
                }
            }
            _ => self.restart(above, node),
        }
    }

    fn gives_up(&mut self, supervisor: usize, how: Deed, outcome: Outcome) {
        self.terminate_from(supervisor, 0);
        if supervisor == ROOT {
            self.outcome = Some(outcome);
        } else {
            self.ended(supervisor, how);
        }
    }

    fn restart(&mut self, supervisor: usize, node: usize) {
        let Supervision { strategy, intensity, .. } = *self.supervision(supervisor);
        let mut node = node;
        loop {
            let now = self.now;
            let restarts = &mut self.families[supervisor].restarts;
            restarts.push(now);
            restarts.retain(|at| now - *at <= PERIOD);
            if restarts.len() > intensity {
                return self.gives_up(supervisor, Deed::Crash, Outcome::Escalated(self.key(node)));
            }
            let children = &self.families[supervisor].children;
            let position = children.iter().position(|child| child.0 == node).expect("it is kept");
            let first = if strategy == Strategy::OneForAll { 0 } else { position };
            let started = if strategy == Strategy::OneForOne {
                let started = self.start_node(node);
                self.families[supervisor].children[position].1 = started.is_ok();
                started.map_err(|()| node)
            } else {
                self.terminate_from(supervisor, first);
                self.start_from(supervisor, first)
            };
            match started {
                Ok(()) => return,
                Err(failed) => node = failed,
            }
        }
    }
}
