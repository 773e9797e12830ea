//! What the audit trail says of an outcome, and how nodes and commands are stored.

use callboard_contracts::{Labels, api::NodeAction};
use uuid::Uuid;

use super::workflow;
use crate::edges::store::{
    Outcome,
    dead_jobs::DeadJobsOutcome,
    record::{NewAudit, NodeDescription},
};

/// In words.
pub(crate) fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Cancelled => "cancelled".to_owned(),
        Outcome::CancelRequested { .. } => "told to end".to_owned(),
        Outcome::MadeAvailable { .. } => "made available".to_owned(),
        Outcome::Replayed { id, .. } => format!("runs again as {id}"),
        Outcome::NotPossible { state } => format!("refused: the job is {state}"),
        Outcome::NotFound => "refused: there is none".to_owned(),
        Outcome::BacklogFull { .. } => "refused: the backlog of the queue is full".to_owned(),
        Outcome::StoreFull { .. } => "refused: the backlog of all queues is full".to_owned(),
        Outcome::TooManyEdges { .. } => "refused: too many edges are tripped".to_owned(),
        Outcome::NotLeader => "refused: this node does not lead any more".to_owned(),
        Outcome::Ordered { .. } => "ordered".to_owned(),
        Outcome::Workflow(outcome) => workflow::words(outcome),
        Outcome::Cron(outcome) => super::cron::words(outcome),
        Outcome::Signals(outcome) => super::signals::words(outcome),
        Outcome::DeadJobs(DeadJobsOutcome::Bulk(record)) => record.state.as_str().to_owned(),
        Outcome::DeadJobs(DeadJobsOutcome::OtherBulk) => "refused: another one has this id".to_owned(),
        Outcome::DeadJobs(DeadJobsOutcome::TooManyBulks { .. }) => {
            "refused: too many are under way".to_owned()
        }
        Outcome::Resealed { changed } => format!("{changed} encrypted anew"),
        _ => "done".to_owned(),
    }
}

/// How the outcome of a command stands in the trail.
pub(crate) fn of_command(done: bool, outcome: &str) -> String {
    if done { format!("done: {outcome}") } else { format!("failed: {outcome}") }
}

/// The entry that says how a command ended on its node.
pub(crate) fn end_of(id: Uuid, node: &str, action: &NodeAction) -> NewAudit {
    NewAudit {
        id: Uuid::now_v7(),
        by: format!("node {node}"),
        role: None,
        action: format!("node.{}.end", action.as_str()),
        target: node.to_owned(),
        detail: Some(serde_json::json!({ "command": id }).to_string()),
    }
}

/// A command's action, as it is stored.
pub(crate) fn action_text(action: &NodeAction) -> String {
    serde_json::to_string(action).unwrap_or_default()
}

/// A stored action; `None` for one that a newer program has written.
pub(crate) fn action_of(text: &str) -> Option<NodeAction> {
    serde_json::from_str(text).ok()
}

/// Labels as they are stored; `None`: there are none.
pub(crate) fn labels_text(labels: &Labels) -> Option<String> {
    (!labels.is_empty()).then(|| labels.to_string())
}

/// Stored labels.
pub(crate) fn labels_of(text: Option<String>) -> Labels {
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// What a session's node has said of itself.
pub(crate) fn description_of(text: Option<String>) -> NodeDescription {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}
