//! What a user writes first: an [`Actor`].

use std::{error::Error, future::Future};

use crate::context::Context;

/// Why an actor could not start.
pub type StartError = Box<dyn Error + Send + Sync>;

/// A supervised actor. It need not be `Send`; what it is made from must be.
///
/// Each *generation* of an actor is made by [`start`](Self::start). A panic ends the generation, not the actor: its
/// address and its queue stay, and the next generation handles the message after the one that panicked.
pub trait Actor: Sized + 'static {
    /// What the actor is made from; kept by the runtime and cloned for every generation.
    type Args: Clone + Send + 'static;

    /// Makes a new generation. It may await, but must not wait for the network: an outage is a state of the actor.
    ///
    /// An error or a panic in here is a start that failed. At the first start of a supervisor's child that fails the
    /// supervisor (see [`OnStartFailure`](crate::OnStartFailure)); later it counts as a crash.
    fn start(args: Self::Args, cx: &mut Context<Self>) -> impl Future<Output = Result<Self, StartError>>;

    /// Runs before an orderly stop, at a message boundary, and never after a panic or a kill.
    fn stopping(&mut self, _cx: &mut Context<Self>) -> impl Future<Output = ()> {
        async {}
    }
}
