//! What the suite needs of a bus.

use std::sync::Arc;

use bytes::Bytes;
use callboard_actors::edges::bus::{InboundQueue, Publish, Receive};
use callboard_supervisors::SupervisorSpec;
use uuid::Uuid;

use crate::Server;

/// A message that somebody outside has taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The id under which it was published.
    pub id: Uuid,
    /// Its body.
    pub body: Bytes,
}

/// A bus, and what the suite needs to know of it; and the hands of a program outside that has nothing to do with it.
#[allow(
    async_fn_in_trait,
    reason = "the suite awaits them where it calls them, and never needs them to be Send"
)]
pub trait Subject: Sized + 'static {
    /// The queue that it reads.
    const READS: InboundQueue;

    /// The broker.
    type Server: Server;

    /// A broker that was not started yet.
    fn server() -> Self::Server;

    /// The bus for this broker, which may not be there. It gives up waiting for an answer after a second or two, and tries again to
    /// reach the broker as often.
    fn new(server: &Self::Server) -> Self;

    /// What sends messages; good before anything runs.
    fn publisher(&self) -> Arc<dyn Publish>;

    /// All of it, as it is put into an actor system; what comes in is decided about by `receive`.
    fn supervisor(self, receive: Arc<dyn Receive>) -> SupervisorSpec;

    /// Makes a queue that keeps its messages through a restart; one that the bus itself makes is waited for.
    async fn declare(server: &Self::Server, queue: &str);

    /// Puts a message into a queue, safely.
    async fn send(server: &Self::Server, queue: &str, body: &str);

    /// Takes the first message of a queue out of it; `None` if there is none.
    async fn take(server: &Self::Server, queue: &str) -> Option<Taken>;
}
