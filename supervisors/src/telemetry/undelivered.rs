//! [`Undelivered`]: messages that no actor handled.

use std::{fmt, sync::Arc};

use crate::{error::AskError, meta::ActorId};

/// A message was taken and will not be handled.
///
/// A message that is not taken goes back to its sender as a [`SendError`](crate::SendError), and is not told of here;
/// neither is the one in hand when an actor panics, which the [`CrashRecord`](crate::CrashRecord) names. See
/// [`ActorSystemBuilder::undelivered`](crate::ActorSystemBuilder::undelivered).
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Counter>::new("counter", ());
/// # let counter = spec.actor_ref();
/// # let root = SupervisorSpec::new("root").child(spec);
/// let (lost, mut letters) = tokio::sync::mpsc::channel::<Undelivered>(64);
/// let builder = ActorSystem::builder("example").executors(1).undelivered(move |letter| {
///     let _ = lost.try_send(letter.clone()); // never waits
/// });
/// let system = builder.start(root).await?;
/// counter.suspend();
/// # counter.inspect().await;
/// counter.tell(Count)?; // taken, and nobody will come to it
/// counter.stop();
/// let letter = letters.recv().await.expect("it is told");
/// assert_eq!((letter.actor, letter.path.as_str()), (counter.id(), "counter"));
/// assert_eq!(letter.reason, UndeliveredReason::Stopped);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Undelivered {
    /// To whom it was sent.
    pub actor: ActorId,
    /// The actor's path within the system.
    pub path: String,
    /// The message's Rust type.
    pub message_type: &'static str,
    /// Why it was not handled.
    pub reason: UndeliveredReason,
}

/// Why a message was not handled.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let mailbox = MailboxSpec::bounded(1).overflow(Overflow::DropNewest);
/// # let spec = ChildSpec::<Counter>::new("counter", ()).mailbox(mailbox);
/// # let counter = spec.actor_ref();
/// # let root = SupervisorSpec::new("root").child(spec);
/// # let (lost, mut letters) = tokio::sync::mpsc::channel::<Undelivered>(64);
/// # let builder = ActorSystem::builder("example").executors(1);
/// # let builder = builder.undelivered(move |letter| { let _ = lost.try_send(letter.clone()); });
/// # let system = builder.start(root).await?;
/// counter.suspend();
/// # counter.inspect().await;
/// counter.tell(Count)?; // waits
/// counter.tell(Count)?; // finds no room, and is dropped
/// let reason = letters.recv().await.expect("it is told").reason;
/// assert_eq!((reason, reason.as_str()), (UndeliveredReason::Refused, "refused"));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UndeliveredReason {
    /// The actor is gone for good.
    Stopped,
    /// There was no room, and the mailbox drops what comes last (`DropNewest`).
    Refused,
    /// There was no room, and the mailbox drops what has waited longest (`DropOldest`).
    Evicted,
    /// A newer one with the same key took its place (see [`Handler::coalesce`](crate::Handler::coalesce)).
    Replaced,
    /// Whoever asked went away before the actor came to it.
    Abandoned,
}

impl UndeliveredReason {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            UndeliveredReason::Stopped => "stopped",
            UndeliveredReason::Refused => "refused",
            UndeliveredReason::Evicted => "evicted",
            UndeliveredReason::Replaced => "replaced",
            UndeliveredReason::Abandoned => "abandoned",
        }
    }

    /// What the asker hears.
    pub(crate) fn to_asker(self) -> AskError {
        match self {
            UndeliveredReason::Stopped | UndeliveredReason::Abandoned => AskError::Stopped,
            UndeliveredReason::Refused => AskError::Refused,
            UndeliveredReason::Evicted | UndeliveredReason::Replaced => AskError::Evicted,
        }
    }
}

impl fmt::Display for UndeliveredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom undelivered messages are told.
pub(crate) type UndeliveredHook = Arc<dyn Fn(&Undelivered) + Send + Sync>;
