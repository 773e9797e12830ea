//! Calls about the server itself: queues, job types, tree, totals, readiness.

use std::{collections::BTreeMap, time::Duration};

use callboard_contracts::api::{
    AuditPage, CommandView, EdgeView, JobTypeView, NodeView, OrderNode, PauseRequest, PutEdge, QueueLabels,
    QueueLimits, QueueView, Readiness, SessionView, SettingsChanged, SettingsView, Totals, TreeNode,
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{Client, ClientError, request::Call};

/// The path of what can be done with a queue. What no name has is escaped, so that the server can say that there is no
/// such queue.
fn queue_path(name: &str, action: &str) -> String {
    format!("/api/v1/queues/{}/{action}", escaped(name))
}

pub(crate) fn escaped(name: &str) -> String {
    name.bytes().fold(String::new(), |mut escaped, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => escaped.push(byte.into()),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
        escaped
    })
}

impl Client {
    /// Lets no job of a queue be started any more, on any node; what runs goes on. How the queue is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such queue.
    pub async fn pause_queue(&self, name: &str) -> Result<QueueView, ClientError> {
        self.call(Call::post(queue_path(name, "pause"), &json!({}))?.repeatable()).await
    }

    /// As [`pause_queue`](Self::pause_queue), with a reason for people, which is shown with the queue until it goes on. A queue
    /// that is paused already keeps the reason that it has.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such queue, and 422 for a reason of more than 500 characters.
    pub async fn pause_queue_because(&self, name: &str, reason: &str) -> Result<QueueView, ClientError> {
        let request = PauseRequest { reason: Some(reason.to_owned()) };
        self.call(Call::post(queue_path(name, "pause"), &request)?.repeatable()).await
    }

    /// A queue and what it holds.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such queue.
    pub async fn queue(&self, name: &str) -> Result<QueueView, ClientError> {
        self.call(Call::get(format!("/api/v1/queues/{}", escaped(name)))).await
    }

    /// Lets a paused queue go on. How the queue is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such queue.
    pub async fn resume_queue(&self, name: &str) -> Result<QueueView, ClientError> {
        self.call(Call::post(queue_path(name, "resume"), &json!({}))?.repeatable()).await
    }

    /// Changes what holds for a queue on all nodes together. How the queue is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such queue, and 422 for a limit of 0.
    pub async fn limit_queue(&self, name: &str, limits: &QueueLimits) -> Result<QueueView, ClientError> {
        self.call(Call::post(queue_path(name, "limit"), limits)?.repeatable()).await
    }

    /// Says what a node must have to run the jobs of a queue. How the queue is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such queue.
    pub async fn label_queue(&self, name: &str, labels: &QueueLabels) -> Result<QueueView, ClientError> {
        self.call(Call::post(queue_path(name, "labels"), labels)?.repeatable()).await
    }

    /// Every node with an open session on the server's store.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn nodes(&self) -> Result<Vec<NodeView>, ClientError> {
        self.call(Call::get("/api/v1/nodes")).await
    }

    /// Tells a node to do something; [`command`](Self::command) says what came of it. It is not repeated after a lost
    /// connection, so that a node is not told twice from one call.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such node.
    pub async fn order_node(&self, name: &str, order: &OrderNode) -> Result<CommandView, ClientError> {
        self.call(Call::post(format!("/api/v1/nodes/{}/commands", escaped(name)), order)?).await
    }

    /// What a node was told, and what came of it.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 404 if there is no such command.
    pub async fn command(&self, id: Uuid) -> Result<CommandView, ClientError> {
        self.call(Call::get(format!("/api/v1/commands/{id}"))).await
    }

    /// What nodes were told, newest first, at most `limit`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn commands(&self, limit: u32) -> Result<Vec<CommandView>, ClientError> {
        self.call(Call::get("/api/v1/commands").query(vec![("limit", limit.to_string())])).await
    }

    /// A page of the audit trail, newest first. Give its `next_cursor` as `cursor` for the next one.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn audit(&self, limit: u32, cursor: Option<&str>) -> Result<AuditPage, ClientError> {
        let mut query = vec![("limit", limit.to_string())];
        query.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.call(Call::get("/api/v1/audit").query(query)).await
    }

    /// Who this client is to the server, and what its token allows.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Unauthorized`] where the server wants a token.
    pub async fn session(&self) -> Result<SessionView, ClientError> {
        self.call(Call::get("/api/v1/session")).await
    }

    /// The settings that the server runs with.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn settings(&self) -> Result<SettingsView, ClientError> {
        self.call(Call::get("/api/v1/settings")).await
    }

    /// Sets settings of the server while it runs, until it ends; `None` takes back what was set so. All of it or nothing.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 422 if it cannot be so, or needs a restart.
    pub async fn change_settings(
        &self,
        settings: &BTreeMap<String, Option<String>>,
    ) -> Result<SettingsChanged, ClientError> {
        self.call(Call::patch("/api/v1/settings", settings)?).await
    }

    /// The queues and what they hold.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn queues(&self) -> Result<Vec<QueueView>, ClientError> {
        self.call(Call::get("/api/v1/queues")).await
    }

    /// The edges that were ever tripped, and those that job types need which the server handles.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn edges(&self) -> Result<Vec<EdgeView>, ClientError> {
        self.call(Call::get("/api/v1/edges")).await
    }

    /// Trips an edge, a service outside that jobs need, so that they wait, on any node; or makes it ready. How it is now.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 422 for a name that cannot be.
    pub async fn put_edge(&self, name: &str, set: &PutEdge) -> Result<EdgeView, ClientError> {
        self.call(Call::put(format!("/api/v1/edges/{}", escaped(name)), set)?).await
    }

    /// The job types that the server handles.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn job_types(&self) -> Result<Vec<JobTypeView>, ClientError> {
        self.call(Call::get("/api/v1/job-types")).await
    }

    /// The supervision tree.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn tree(&self) -> Result<TreeNode, ClientError> {
        self.call(Call::get("/api/v1/tree")).await
    }

    /// The supervision tree of the node of this name, which has so long to answer (60 s at most); its backtraces stay there. A node that
    /// does not answer is not asked again.
    ///
    /// # Errors
    /// See [`ClientError`]. A node that is not there, not connected to the bus, or does not answer is a problem that says so.
    pub async fn node_tree(&self, node: &str, limit: Duration) -> Result<TreeNode, ClientError> {
        let limit = limit.as_millis().max(1).to_string();
        let path = format!("/api/v1/nodes/{}/tree", escaped(node));
        self.call(Call::get(path).query(vec![("timeout_ms", limit)]).only_once()).await
    }

    /// The alerts of the Alertmanager that the server passes on, as that has them.
    ///
    /// # Errors
    /// See [`ClientError`]; the status is 502 if the server cannot ask it, also because it is told of none, and 504 if it does not
    /// answer in time.
    pub async fn outside_alerts(&self) -> Result<Vec<Value>, ClientError> {
        self.call(Call::get("/proxy/alerts").only_once()).await
    }

    /// Totals of finished jobs.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn stats(&self) -> Result<Totals, ClientError> {
        self.call(Call::get("/api/v1/stats")).await
    }

    /// Whether the server does its work. A server that is there and not ready gives an answer, no error. Needs no
    /// token.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn ready(&self) -> Result<Readiness, ClientError> {
        let mut call = Call::get("/api/v1/ready");
        call.also = Some(StatusCode::SERVICE_UNAVAILABLE);
        self.call(call).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_part_of_a_path() {
        assert_eq!(queue_path("mail-1", "pause"), "/api/v1/queues/mail-1/pause");
        assert_eq!(queue_path("../a?b", "resume"), "/api/v1/queues/%2E%2E%2Fa%3Fb/resume");
    }
}
