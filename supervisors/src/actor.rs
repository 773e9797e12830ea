//! What a user writes first: an [`Actor`].

use std::{error::Error, future::Future};

use crate::context::Context;

/// Why an actor could not start.
pub type StartError = Box<dyn Error + Send + Sync>;

/// A supervised actor. It need not be `Send`; what it is made from must be.
///
/// Each *generation* of an actor is made by [`start`](Self::start). A panic ends the generation, not the actor: its
/// address and its queue stay, and the next generation handles the message after the one that panicked.
///
/// ```
/// use callboard_supervisors::*;
///
/// struct Limit(u32);
///
/// impl Actor for Limit {
///     type Args = String;
///
///     async fn start(text: String, _: &mut Context<Self>) -> Result<Self, StartError> {
///         Ok(Limit(text.parse()?)) // an error here is a start that failed
///     }
///
///     async fn stopping(&mut self, cx: &mut Context<Self>) {
///         println!("{} ends with a limit of {}", cx.path(), self.0);
///     }
/// }
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = ChildSpec::<Limit>::new("limit", "many".to_owned());
/// let root = SupervisorSpec::new("root").child(spec);
/// let error = ActorSystem::builder("example").executors(1).start(root).await.expect_err("no number");
/// assert!(error.to_string().contains("invalid digit found in string"));
/// # });
/// ```
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
