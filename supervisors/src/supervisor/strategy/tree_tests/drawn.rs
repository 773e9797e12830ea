//! Trees, and what happens to them, drawn by lot.

use proptest::prelude::{Just, Strategy as Random, any, prop};
use proptest::prop_oneof;

use crate::supervisor::{AutoShutdown, OnStartFailure, Restart, Strategy, strategy::Key};

#[derive(Clone, Debug)]
pub(super) struct Supervision {
    pub(super) strategy: Strategy,
    pub(super) intensity: usize,
    pub(super) auto_shutdown: AutoShutdown,
    pub(super) on_start_failure: OnStartFailure,
    /// Until they are laid out.
    children: Vec<Branch>,
}

/// Of a tree as it is drawn by lot. A worker has no supervision.
#[derive(Clone, Debug)]
struct Branch {
    restart: Restart,
    significant: bool,
    supervision: Option<Supervision>,
}

/// Of a tree that is laid out: nodes are known by their numbers, in the order in which they start.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) restart: Restart,
    pub(super) significant: bool,
    /// None for the root. The key is the place among its siblings.
    pub(super) above: Option<(usize, Key)>,
    /// None for a worker.
    pub(super) supervision: Option<Supervision>,
    pub(super) children: Vec<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Deed {
    /// Of a worker. A supervisor is restarted by hand instead.
    Crash,
    /// Of a worker. A supervisor is restarted by hand instead.
    Finish,
    /// By hand, for good.
    Stop,
}

/// After a pause of so many seconds this happens to a node, and the next starts of these nodes fail.
pub(super) type Turn = (u64, usize, Deed, Vec<usize>);

fn supervisions(children: impl Random<Value = Vec<Branch>>) -> impl Random<Value = Supervision> {
    let strategy =
        prop_oneof![Just(Strategy::OneForOne), Just(Strategy::OneForAll), Just(Strategy::RestForOne)];
    let auto_shutdown = prop_oneof![
        2 => Just(AutoShutdown::Never),
        1 => Just(AutoShutdown::AnySignificant),
        1 => Just(AutoShutdown::AllSignificant)
    ];
    let on_start_failure = prop_oneof![Just(OnStartFailure::Fail), Just(OnStartFailure::Retry)];
    (strategy, 0usize..4, auto_shutdown, on_start_failure, children).prop_map(
        |(strategy, intensity, auto_shutdown, on_start_failure, children)| Supervision {
            strategy,
            intensity,
            auto_shutdown,
            on_start_failure,
            children,
        },
    )
}

fn branches(supervision: impl Random<Value = Option<Supervision>>) -> impl Random<Value = Branch> {
    let restart = prop_oneof![3 => Just(Restart::Permanent), 2 => Just(Restart::Transient), 1 => Just(Restart::Temporary)];
    (restart, any::<bool>(), supervision).prop_map(|(restart, significant, supervision)| Branch {
        restart,
        significant: significant && restart != Restart::Permanent,
        supervision,
    })
}

pub(super) fn trees() -> impl Random<Value = Vec<Node>> {
    let branch = branches(Just(None)).prop_recursive(3, 16, 4, |below| {
        let worker = branches(Just(None));
        let children = prop::collection::vec(prop_oneof![worker, below], 0..4);
        branches(supervisions(children).prop_map(Some))
    });
    let root = supervisions(prop::collection::vec(branch, 1..4));
    root.prop_map(|supervision| {
        let mut nodes = Vec::new();
        let supervision = Some(supervision);
        lay_out(Branch { restart: Restart::Permanent, significant: false, supervision }, None, &mut nodes);
        nodes
    })
}

fn lay_out(branch: Branch, above: Option<(usize, Key)>, nodes: &mut Vec<Node>) {
    let number = nodes.len();
    let Branch { restart, significant, mut supervision } = branch;
    let children = supervision.as_mut().map(|supervision| std::mem::take(&mut supervision.children));
    nodes.push(Node { restart, significant, above, supervision, children: Vec::new() });
    for (key, child) in children.into_iter().flatten().enumerate() {
        let child_number = nodes.len();
        nodes[number].children.push(child_number);
        lay_out(child, Some((number, key as Key)), nodes);
    }
}

/// The numbers are taken modulo the size of the tree.
pub(super) fn turns() -> impl Random<Value = Vec<Turn>> {
    let deed = prop_oneof![5 => Just(Deed::Crash), 2 => Just(Deed::Finish), 1 => Just(Deed::Stop)];
    prop::collection::vec((0u64..8, 1usize..64, deed, prop::collection::vec(0usize..64, 0..3)), 0..14)
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Step {
    /// Also of a supervisor, before its children.
    Start(usize),
    /// Of a worker.
    Stop(usize),
}
