//! The audit trail: who changes what.

use callboard_contracts::api::{AuditPage, AuditView};
use serde_json::Value;
use uuid::Uuid;

use super::{node::Node, request::Who};
use crate::edges::store::{
    Operation, Outcome, StoreError,
    record::{AuditRecord, NewAudit},
};

/// What is done, for the trail.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    pub(super) action: &'static str,
    pub(super) target: String,
    pub(super) detail: Option<Value>,
}

impl Deed {
    pub(super) fn new(action: &'static str, target: impl Into<String>) -> Self {
        Deed { action, target: target.into(), detail: None }
    }

    pub(super) fn with(mut self, detail: Value) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Carries an operation out, and keeps in the same transaction who has asked for it.
pub(super) async fn carry_out(
    node: &Node,
    who: &Who,
    deed: Deed,
    operation: Operation,
) -> Result<Outcome, StoreError> {
    let entry = NewAudit {
        id: Uuid::now_v7(),
        by: who.name.clone(),
        role: who.role.clone(),
        action: deed.action.to_owned(),
        target: deed.target,
        detail: deed.detail.map(|detail| detail.to_string()),
    };
    node.store.write(Operation::Audited { entry, operation: Box::new(operation) }).await
}

/// A page of the trail, of at most `limit` entries.
pub(super) async fn page(node: &Node, before: Option<u64>, limit: u32) -> Result<AuditPage, StoreError> {
    // One more than asked for tells whether there is a next page.
    let mut entries = node.store.audit(before, limit + 1).await?;
    let more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let last = entries.last().map(|entry| entry.sequence.to_string());
    Ok(AuditPage { next_cursor: last.filter(|_| more), entries: entries.into_iter().map(view).collect() })
}

fn view(record: AuditRecord) -> AuditView {
    let NewAudit { id, by, role, action, target, detail } = record.entry;
    AuditView {
        id,
        at: record.at,
        by,
        role,
        node: record.node,
        action,
        target,
        detail: detail.and_then(|detail| serde_json::from_str(&detail).ok()),
        outcome: record.outcome,
    }
}
