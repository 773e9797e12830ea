//! The operations of one transaction.

use super::{attempts, control, enqueue, retention, transaction::Transaction};
use crate::edges::store::{Operation, OperationResult, Outcome};

/// Carries the operations out in their order; neighbours of one kind together.
pub(super) fn run(
    tx: &mut Transaction<'_>,
    operations: &[Operation],
) -> rusqlite::Result<Vec<OperationResult>> {
    let mut results = Vec::with_capacity(operations.len());
    let mut rest = operations;
    while let [first, ..] = rest {
        let kind = Kind::of(first);
        let length = rest.iter().take_while(|operation| kind.takes(operation)).count().max(1);
        let (group, after) = rest.split_at(length);
        rest = after;
        match kind {
            Kind::Enqueue => results.extend(enqueue::run(tx, group)?),
            Kind::Attempt => results.extend(attempts::run(tx, group)?),
            Kind::Other => results.push(Ok(run_one(tx, first)?)),
        }
    }
    Ok(results)
}

fn run_one(tx: &mut Transaction<'_>, operation: &Operation) -> rusqlite::Result<Outcome> {
    match operation {
        Operation::Claim { queue, limit, session } => attempts::claim(tx, queue, *limit, *session),
        Operation::Prune { retention, .. } => retention::prune(tx, *retention),
        other => control::run(tx, other),
    }
}

/// Kinds of operation that are carried out together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Enqueue,
    Attempt,
    Other,
}

impl Kind {
    fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Enqueue(_) => Kind::Enqueue,
            Operation::Start { .. } | Operation::Finish { .. } => Kind::Attempt,
            _ => Kind::Other,
        }
    }

    fn takes(self, operation: &Operation) -> bool {
        self != Kind::Other && self == Kind::of(operation)
    }
}
