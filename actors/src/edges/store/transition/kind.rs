//! Operations that are carried out together.

use crate::edges::store::Operation;

/// Kinds of operation that are carried out together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// New jobs.
    Enqueue,
    /// Starts and ends of attempts.
    Attempt,
    /// What running attempts say.
    Report,
    /// New jobs of other programs.
    Received,
    /// Attempts on their way to workers outside.
    HandOver,
    /// Words of those workers.
    Heard,
    /// Each by itself.
    Other,
}

impl Kind {
    fn of(operation: &Operation) -> Self {
        match operation {
            Operation::Enqueue(_) => Kind::Enqueue,
            Operation::Start { .. } | Operation::Finish { .. } => Kind::Attempt,
            Operation::Report(_) => Kind::Report,
            Operation::ReceiveJob(_) => Kind::Received,
            Operation::HandOver { .. } => Kind::HandOver,
            Operation::Hear(_) => Kind::Heard,
            _ => Kind::Other,
        }
    }

    /// The operations in their order, neighbours of one kind together.
    pub(crate) fn groups(operations: &[Operation]) -> impl Iterator<Item = (Kind, &[Operation])> {
        let groups = operations.chunk_by(|one, next| Kind::of(one) == Kind::of(next));
        groups.filter_map(|group| Some((Kind::of(group.first()?), group)))
    }
}
