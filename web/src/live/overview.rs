//! What there is, and how it goes, at one look.

use std::time::Duration;

use actix_web::HttpResponse;
use callboard_actors::roles::{
    Backtraces,
    request::{GetEdges, GetNodes, GetQueues},
};
use callboard_contracts::{
    Timestamp,
    api::{EdgeView, NodeView, Overview, QueueView, Readiness, StateTotals, TreeNode},
};
use callboard_supervisors::{Message, Recipient};

use super::alerts::{Seen, alerts};
use crate::{problem::Trouble, settings::WebDependencies};

/// What is looked at, and through whom.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(super) roles: WebDependencies,
    started_at: Timestamp,
    limit: Duration,
}

impl Scene {
    /// `limit` is how long one question may take.
    pub(crate) fn new(roles: WebDependencies, limit: Duration) -> Self {
        Scene { roles, started_at: Timestamp::now(), limit }
    }

    pub(super) async fn ask<M: Message>(
        &self,
        role: &Recipient<M>,
        message: M,
    ) -> Result<M::Result, Trouble> {
        Ok(role.ask_within(self.limit, message).await?)
    }

    pub(super) async fn queues(&self) -> Result<Vec<QueueView>, Trouble> {
        Ok(self.ask(&self.roles.get_queues, GetQueues).await??)
    }

    pub(super) async fn nodes(&self) -> Result<Vec<NodeView>, Trouble> {
        Ok(self.ask(&self.roles.get_nodes, GetNodes).await??)
    }

    pub(super) async fn edges(&self) -> Result<Vec<EdgeView>, Trouble> {
        Ok(self.ask(&self.roles.get_edges, GetEdges).await??)
    }

    /// Without backtraces.
    pub(super) fn tree(&self) -> TreeNode {
        (self.roles.tree)(Backtraces::Left)
    }

    /// Whether the node does its work.
    pub(crate) fn readiness(&self) -> Readiness {
        let conditions = &self.roles.conditions;
        let mut reasons = conditions.reasons();
        let mut status = conditions.overall();
        // What crashes cannot say so itself.
        let troubles = (self.roles.troubles)();
        if status == "ready" && !troubles.is_empty() {
            status = "degraded";
        }
        reasons.extend(troubles);
        Readiness { status: status.to_owned(), version: self.roles.version.to_owned(), reasons }
    }

    /// The overview, of what was seen of the rest.
    pub(super) fn overview(
        &self,
        tree: &TreeNode,
        queues: &[QueueView],
        nodes: &[NodeView],
        edges: &[EdgeView],
    ) -> Overview {
        let (now, readiness) = (Timestamp::now(), self.readiness());
        let alerts = alerts(&Seen { now, readiness: &readiness, tree, queues, nodes, edges });
        let recent = self.roles.series.recent();
        Overview {
            at: now,
            node: self.roles.node.to_string(),
            version: self.roles.version.to_owned(),
            started_at: self.started_at,
            readiness,
            totals: totals(queues),
            rates: recent.rates,
            wait: recent.wait,
            run: recent.run,
            nodes: u64::try_from(nodes.len()).unwrap_or(u64::MAX),
            alerts,
        }
    }
}

fn totals(queues: &[QueueView]) -> StateTotals {
    let sum = |count: fn(&QueueView) -> u64| queues.iter().map(count).sum();
    StateTotals {
        pending: sum(|queue| queue.pending),
        scheduled: sum(|queue| queue.scheduled),
        available: sum(|queue| queue.available),
        executing: sum(|queue| queue.executing),
        retryable: sum(|queue| queue.retryable),
        completed: sum(|queue| queue.completed),
        cancelled: sum(|queue| queue.cancelled),
        discarded: sum(|queue| queue.discarded),
    }
}

/// `GET /api/v1/overview`.
pub(crate) async fn answer(scene: &Scene) -> Result<HttpResponse, Trouble> {
    let (queues, nodes, edges) = tokio::try_join!(scene.queues(), scene.nodes(), scene.edges())?;
    Ok(HttpResponse::Ok().json(scene.overview(&scene.tree(), &queues, &nodes, &edges)))
}
