//! The edges from actors that wait to those whose answer they wait for, and the circles they make.
//!
//! Only an ask that is not answered at the second look makes an edge, so those within a thread mostly make none.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Instant,
};

use parking_lot::Mutex;

use crate::{
    label::Label,
    meta::{ActorId, Meta, WaitingFor},
    telemetry::ChangeKind,
    waiting::asker::asker,
};

/// Whoever is waited for.
pub(crate) trait Target: Send + Sync {
    fn meta(&self) -> &Meta;
}

struct Edge {
    number: u64,
    target: Arc<dyn Target>,
    message: &'static Label,
    since: Instant,
}

/// As many as there are asks that wait.
#[derive(Default)]
struct Edges {
    next: u64,
    from: HashMap<ActorId, Vec<Edge>>,
}

static EDGES: LazyLock<Mutex<Edges>> = LazyLock::new(Mutex::default);

impl Edges {
    fn add(&mut self, asker: ActorId, target: Arc<dyn Target>, message: &'static Label) -> u64 {
        let number = self.next;
        self.next += 1;
        self.from.entry(asker).or_default().push(Edge { number, target, message, since: Instant::now() });
        number
    }

    fn remove(&mut self, asker: ActorId, number: u64) -> Option<Edge> {
        let edges = self.from.get_mut(&asker)?;
        let at = edges.iter().position(|edge| edge.number == number)?;
        let edge = edges.swap_remove(at);
        if edges.is_empty() {
            self.from.remove(&asker);
        }
        Some(edge)
    }

    /// The way from `from` to `asker`, along the edges.
    fn circle(&self, asker: ActorId, from: &Arc<dyn Target>) -> Option<Vec<Arc<dyn Target>>> {
        let mut seen = vec![from.meta().id()];
        let mut ways = vec![vec![from.clone()]];
        while let Some(way) = ways.pop() {
            let at = way.last()?.meta().id();
            if at == asker {
                return Some(way);
            }
            for edge in self.from.get(&at).into_iter().flatten() {
                if !seen.contains(&edge.target.meta().id()) {
                    seen.push(edge.target.meta().id());
                    ways.push(way.iter().chain([&edge.target]).cloned().collect());
                }
            }
        }
        None
    }
}

/// One edge, for as long as it is held.
pub(crate) struct Waiting {
    asker: ActorId,
    number: u64,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let edge = EDGES.lock().remove(self.asker, self.number);
        // Not under the lock: the last address of an actor may go with it.
        drop(edge);
    }
}

/// To be called where an ask begins to wait. None: whoever waits holds no actor. A circle is reported once, by the ask
/// that closes it.
pub(crate) fn while_waiting(target: Arc<dyn Target>, message: &'static Label) -> Option<Waiting> {
    let asker = asker()?;
    let mut edges = EDGES.lock();
    let circle = edges.circle(asker, &target);
    let number = edges.add(asker, target, message);
    drop(edges);
    if let Some(circle) = circle {
        report(&circle);
    }
    Some(Waiting { asker, number })
}

/// `circle` ends with the one that asks its first.
fn report(circle: &[Arc<dyn Target>]) {
    let paths: Vec<String> = circle.iter().map(|target| target.meta().path()).collect();
    tracing::warn!(
        circle = paths.join(" -> "),
        "actors wait for each other's answers, and none can answer before its ask has timed out"
    );
    let Some(closing) = circle.last() else { return };
    closing.meta().tell_change(|| ChangeKind::WaitCircle { paths });
}

/// For whose answers this actor waits.
pub(crate) fn waits_of(asker: ActorId) -> Vec<WaitingFor> {
    let edges = EDGES.lock();
    let edges = edges.from.get(&asker).into_iter().flatten();
    edges
        .map(|edge| WaitingFor {
            actor: edge.target.meta().id(),
            path: edge.target.meta().path(),
            message_type: edge.message.name(),
            waiting: edge.since.elapsed(),
        })
        .collect()
}
