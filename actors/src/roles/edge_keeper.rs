//! The keeper of an edge: knows whether a server outside is there, and says so.

use std::{sync::Arc, time::Duration};

use callboard_contracts::{Timestamp, api::PutEdge};
use callboard_supervisors::{Actor, Context, StartError};
use tokio::time::{Instant, sleep};

use super::{condition::Condition, edges, node::Node, request::SetEdge};
use crate::edges::{breaker::EdgeStanding, outside::OutsideEdge};

/// How often a server that is there is asked whether it is.
const PING: Duration = Duration::from_secs(5);
/// How often one is asked that has not answered.
const RETRY: Duration = Duration::from_millis(500);
/// The shortest pause between two questions.
const LEAST: Duration = Duration::from_millis(50);
/// How often there is upkeep.
const UPKEEP: Duration = Duration::from_secs(60);
/// For how long jobs wait that need a tripped edge if nobody says so again.
const HOLD: Duration = Duration::from_secs(60);
/// How often it is said again.
const SAY_AGAIN: Duration = Duration::from_secs(20);

/// Pings one server outside, shows how it is, and lets jobs that need it wait while it is tripped. A node does its work
/// without any of them.
pub(crate) struct EdgeKeeper;

#[derive(Clone)]
pub(crate) struct EdgeKeeperArgs {
    pub(crate) node: Arc<Node>,
    pub(crate) edge: OutsideEdge,
}

impl Actor for EdgeKeeper {
    type Args = EdgeKeeperArgs;

    async fn start(args: EdgeKeeperArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.spawn(run(args, cx.path()));
        Ok(EdgeKeeper)
    }
}

async fn run(EdgeKeeperArgs { node, edge }: EdgeKeeperArgs, path: String) {
    node.conditions.make_optional(&path);
    let name = edge.guard.name().to_owned();
    let mut standing = edge.guard.standing();
    let mut word = Word { node: &node, edge: &name, said: None };
    let mut asked: Option<Instant> = None;
    let mut kept: Option<Instant> = None;
    loop {
        let (now, reason) = standing.borrow_and_update().clone();
        let condition = condition(now, &reason);
        if node.conditions.set(&path, condition.clone()) {
            match now {
                EdgeStanding::Ready => tracing::info!(edge = name, "the server outside is there"),
                EdgeStanding::Connecting | EdgeStanding::Degraded => {
                    tracing::info!(edge = name, %condition, "the server outside does not answer");
                }
                EdgeStanding::Tripped { .. } => {
                    tracing::warn!(edge = name, %condition, "the server outside is away");
                }
            }
        }
        word.say(now, &reason).await;
        let pause = match now {
            EdgeStanding::Ready => PING,
            EdgeStanding::Connecting | EdgeStanding::Degraded => RETRY,
            EdgeStanding::Tripped { until } => until.saturating_duration_since(Instant::now()).min(SAY_AGAIN),
        };
        let pause = asked.map_or(Duration::ZERO, |_| pause.max(LEAST));
        tokio::select! {
            // A guard lives as long as whoever follows it.
            _ = standing.changed() => continue,
            () = sleep(pause) => {}
        }
        (edge.ping)().await;
        asked = Some(Instant::now());
        let due = kept.is_none_or(|kept| kept.elapsed() >= UPKEEP);
        if let Some(upkeep) = &edge.upkeep
            && due
            && edge.guard.is_ready()
        {
            upkeep().await;
            kept = Some(Instant::now());
        }
    }
}

fn condition(standing: EdgeStanding, reason: &str) -> Condition {
    match standing {
        EdgeStanding::Connecting => Condition::Connecting(reason.to_owned()),
        EdgeStanding::Ready => Condition::Ready,
        EdgeStanding::Degraded => Condition::Degraded(reason.to_owned()),
        EdgeStanding::Tripped { until } => {
            let left = until.saturating_duration_since(Instant::now());
            Condition::Tripped { until: Timestamp::now().saturating_add(left), reason: reason.to_owned() }
        }
    }
}

/// What is said to the store, so that jobs that need the edge wait on all nodes.
struct Word<'a> {
    node: &'a Node,
    edge: &'a str,
    /// When it was said that it is tripped, or that somebody else had said so.
    said: Option<Instant>,
}

impl Word<'_> {
    /// Who says it: what others have said is left as it is.
    fn speaker(&self) -> String {
        format!("{} (breaker)", self.node.name)
    }

    async fn say(&mut self, standing: EdgeStanding, reason: &str) {
        let tripped = matches!(standing, EdgeStanding::Tripped { .. });
        let due = match self.said {
            // It is taken back only when a call has succeeded.
            Some(_) if standing == EdgeStanding::Ready => true,
            Some(said) => tripped && said.elapsed() >= SAY_AGAIN,
            None => tripped,
        };
        if !due {
            return;
        }
        let known = match self.node.store.edges().await {
            Ok(edges) => edges.into_iter().find(|edge| edge.name == self.edge),
            // It is said when the store is there again.
            Err(_) => return,
        };
        let speaker = self.speaker();
        let now = self.node.store.now();
        let trip = known.filter(|known| known.tripped_at(now).is_some());
        let mine = trip.as_ref().is_some_and(|known| known.set_by == speaker);
        let set = match tripped {
            true if trip.is_none() || mine => Some(PutEdge {
                reason: Some(reason.to_owned()),
                for_ms: u64::try_from(HOLD.as_millis()).ok(),
                ..PutEdge::tripped()
            }),
            false if mine => Some(PutEdge::ready()),
            _ => None,
        };
        if let Some(set) = set {
            let request = SetEdge { edge: self.edge.to_owned(), set, by: Some(speaker) };
            if let Err(error) = edges::put(self.node, None, request).await {
                tracing::debug!(edge = self.edge, %error, "the edge's state is set later");
                return;
            }
        }
        self.said = tripped.then(Instant::now);
    }
}
