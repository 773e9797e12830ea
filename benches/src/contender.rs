//! What every library is asked to do.

use std::future::Future;

/// A library with an actor that counts.
pub(crate) trait Contender: 'static {
    /// The actor's address.
    type Address: Clone + Send + 'static;

    /// Starts an actor with a mailbox of this capacity; `None` is a mailbox without a bound.
    fn start(capacity: Option<usize>) -> impl Future<Output = Self::Address>;
    /// Adds one, and never waits.
    fn tell(address: &Self::Address);
    /// Adds one, and waits for room.
    fn send(address: &Self::Address) -> impl Future<Output = ()> + Send;
    /// The count.
    fn ask(address: &Self::Address) -> impl Future<Output = u64>;
    /// Stops the actor and waits until it is gone.
    fn stop(address: Self::Address) -> impl Future<Output = ()>;
}
