//! The queues that other programs know by name.

use callboard_contracts::EventType;

use super::Inbound;

/// Where what was invalid in `jobs.created` and in outcomes is put, with the reason.
pub const DEAD_LETTERS: &str = "jobs.failed.validation";

/// A queue of the old contract that is published to, when its consumer is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContractQueue {
    /// `jobs.created`.
    Created,
    /// `jobs.completed`.
    Completed,
    /// `jobs.failed`.
    Failed,
}

impl ContractQueue {
    /// Its name at the broker.
    pub const fn name(self) -> &'static str {
        match self {
            ContractQueue::Created => "jobs.created",
            ContractQueue::Completed => "jobs.completed",
            ContractQueue::Failed => "jobs.failed",
        }
    }

    /// The queue of this name, if it is one of these.
    pub fn from_name(name: &str) -> Option<Self> {
        [ContractQueue::Created, ContractQueue::Completed, ContractQueue::Failed]
            .into_iter()
            .find(|queue| queue.name() == name)
    }

    /// The one type of event that is in it.
    pub const fn event_type(self) -> EventType {
        match self {
            ContractQueue::Created => EventType::Created,
            ContractQueue::Completed => EventType::Completed,
            ContractQueue::Failed => EventType::Failed,
        }
    }
}

/// A queue that is read, when its producer is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InboundQueue {
    /// A queue of the old contract.
    Contract(ContractQueue),
    /// `callboard.outcomes`.
    Outcomes,
}

impl InboundQueue {
    /// Its name at the broker.
    pub const fn name(self) -> &'static str {
        match self {
            InboundQueue::Contract(queue) => queue.name(),
            InboundQueue::Outcomes => "callboard.outcomes",
        }
    }

    /// What its messages are taken for.
    pub const fn inbound(self) -> Inbound {
        match self {
            InboundQueue::Contract(ContractQueue::Created) => Inbound::JobCreated,
            InboundQueue::Contract(ContractQueue::Completed | ContractQueue::Failed) => {
                Inbound::ContractOutcome
            }
            InboundQueue::Outcomes => Inbound::Outcome,
        }
    }
}
