//! What a supervisor tells others.

use std::sync::Arc;

use crate::meta::{ActorId, CrashRecord, StopReason};

/// A generation of a child ended. Sent to the recipient of `on_exit`, once for each end.
///
/// The supervisor waits for room as the recipient's mailbox says, beside its other work. What is not taken is counted
/// in [`SupervisionSnapshot::unreported_exits`](crate::SupervisionSnapshot::unreported_exits).
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u32)]
/// # struct Divide(u32);
/// # struct Fragile;
/// # impl Actor for Fragile {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Fragile) }
/// # }
/// # impl PlainHandler<Divide> for Fragile {
/// #     type Reply = u32;
/// #     fn handle(&mut self, Divide(by): Divide, _: &mut Context<Self>) -> u32 { 12 / by }
/// # }
/// # #[derive(Message)]
/// # #[message(reply = Vec<String>)]
/// # struct Seen;
///
/// #[derive(Default)]
/// struct Log(Vec<String>);
/// # impl Actor for Log {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Log::default()) }
/// # }
/// # impl PlainHandler<Seen> for Log {
/// #     type Reply = Vec<String>;
/// #     fn handle(&mut self, _: Seen, _: &mut Context<Self>) -> Vec<String> { self.0.clone() }
/// # }
///
/// impl PlainHandler<ChildExited> for Log {
///     type Reply = ();
///     fn handle(&mut self, exit: ChildExited, _: &mut Context<Self>) {
///         self.0.push(format!("{} {}: {}, again: {}", exit.name, exit.generation, exit.reason, exit.restarting));
///     }
/// }
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let (log, fragile) = (ChildSpec::<Log>::new("log", ()), ChildSpec::<Fragile>::new("fragile", ()));
/// let (seen, address) = (log.actor_ref(), fragile.actor_ref());
/// let watched = SupervisorSpec::new("watched").on_exit(seen.recipient()).child(fragile);
/// let root = SupervisorSpec::new("root").child(log).supervisor(watched);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// address.stop();
/// address.watch().await;
/// # while seen.ask(Seen).await?.is_empty() {}
/// assert_eq!(seen.ask(Seen).await?, ["fragile 0: stopped in order, again: false"]);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildExited {
    /// The supervisor's path; empty for the root.
    pub supervisor: Arc<str>,
    /// The child's name below it.
    pub name: Arc<str>,
    /// The child's identity.
    pub actor: ActorId,
    /// The generation that ended.
    pub generation: u64,
    /// Why.
    pub reason: StopReason,
    /// If it was a crash.
    pub crash: Option<Arc<CrashRecord>>,
    /// Whether another generation follows. If not, the child is gone for good, or waits for its supervisor to be
    /// restarted.
    pub restarting: bool,
    /// Whether it was a crash for which the supervisor's [intensity](crate::SupervisorSpec::intensity) left no room. What
    /// follows then is for [`OnExhausted`](crate::OnExhausted) to say.
    pub exhausted: bool,
}

impl ::actix::Message for ChildExited {
    type Result = ();
}
