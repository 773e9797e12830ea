//! The bus: the broker that carries events and jobs to programs outside, and theirs to us.
//!
//! What is here is the port: what the roles send ([`Publish`]), what they are given ([`Delivery`]) and what becomes of it
//! ([`Verdict`]). Backends are folders below.

mod contract;
mod numbers;
mod outward;
#[cfg(feature = "rabbitmq")]
pub mod rabbitmq;
mod sink;

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use uuid::Uuid;

pub use contract::{ContractQueue, DEAD_LETTERS, InboundQueue};
pub use numbers::BusNumbers;
pub use outward::Outward;

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Into this queue. A message for a queue that does not exist is returned, which is an error.
    Queue(String),
    /// To whoever has bound a queue to this topic exchange for the routing key; perhaps nobody.
    Topic {
        /// The exchange.
        exchange: String,
        /// The routing key.
        routing_key: String,
    },
}

/// A message, JSON. It survives a restart of the broker, unless it is of use for a time only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Where it goes.
    pub destination: Destination,
    /// Its id, by which whoever has seen it already knows it again.
    pub id: Uuid,
    /// The JSON text.
    pub body: Bytes,
    /// Correlates it with the request that it comes from.
    pub correlation_id: Uuid,
    /// Of one that is of use for a time only: until when, and where its answer goes.
    pub passing: Option<Passing>,
}

/// What a message has that is of use for a time only. The broker keeps it in memory alone, and drops it when its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// Until when it is of use. One whose turn comes later is not sent.
    pub until: Instant,
    /// The queue that its answer goes to, if one is wanted.
    pub reply_to: Option<String>,
}

/// Why a message was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The broker cannot be reached, or takes nothing at the moment.
    #[error("the broker is not ready: {0}")]
    NotReady(String),
    /// There is no such queue.
    #[error("the broker has no queue {0}")]
    NoQueue(String),
    /// The broker has refused it.
    #[error("the broker has refused the message: {0}")]
    Refused(String),
    /// It is not known whether it was taken.
    #[error("the broker did not confirm the message within {0:?}")]
    TimedOut(Duration),
}

/// Sends messages. Called by several at once; each call's own messages stay in their order.
pub trait Publish: Send + Sync + 'static {
    /// Sends them, in order, and waits until the broker has each of them safe. Says of each, in order, what became of it, and of as many
    /// as there were. What was not confirmed may have arrived all the same.
    ///
    /// The number of messages that are sent and not confirmed is bounded; this waits for room. It ends by itself, while the broker is
    /// away too: with [`PublishError::NotReady`] when nothing was sent, with [`PublishError::TimedOut`] when it is not known. Dropping
    /// the future gives up the answer; the messages may be sent all the same.
    fn publish(&self, messages: Vec<OutgoingMessage>) -> BoxFuture<'static, Vec<Result<(), PublishError>>>;
}

/// What a message that comes in is taken for, by the queue that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inbound {
    /// `jobs.created`: jobs of other programs.
    JobCreated,
    /// `jobs.completed` and `jobs.failed`: ends of jobs that old services ran.
    ContractOutcome,
    /// `callboard.outcomes`: ends of jobs that workers outside ran.
    Outcome,
}

/// A message that came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What it is taken for.
    pub inbound: Inbound,
    /// Its body, as it came.
    pub body: Bytes,
    /// Whether it may have been delivered before.
    pub redelivered: bool,
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Delivery { inbound, body, redelivered } = self;
        let mut all = f.debug_struct("Delivery");
        all.field("inbound", inbound).field("bytes", &body.len()).field("redelivered", redelivered).finish()
    }
}

/// What becomes of a message that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done with: what follows from it is stored, or was before.
    Done,
    /// It is invalid. This is its dead letter (JSON), which is to be published; the message is done with then.
    Invalid(Bytes),
    /// Nothing could be done with it now; it is to be delivered again, after a pause.
    Later(String),
}

/// Who decides what becomes of messages that come in.
pub trait Receive: Send + Sync + 'static {
    /// Takes a message. Until it is decided, the message counts as in work, and the broker delivers no more of them than
    /// there is room for. A call that is dropped has decided nothing: the message is delivered again.
    fn receive(&self, delivery: Delivery) -> BoxFuture<'static, Verdict>;
}
