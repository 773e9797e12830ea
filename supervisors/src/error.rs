//! What can go wrong when something is sent, asked or started.

use std::{fmt, time::Duration};

use crate::{core::bury, meta::StopReason};

/// Why a message was not taken. The message is handed back.
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
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// counter.stop();
/// counter.watch().await;
/// let error = counter.tell(Count).expect_err("it is gone");
/// assert_eq!(error.to_string(), "the actor has stopped");
/// let Count = error.into_message(); // to be sent to somebody else, perhaps
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError<M> {
    /// The mailbox is full, and stayed so for as long as its policy waits.
    #[error("the mailbox is full")]
    Full(M),
    /// The actor is gone for good.
    #[error("the actor has stopped")]
    Stopped(M),
}

impl<M> SendError<M> {
    /// The message that was not taken.
    pub fn into_message(self) -> M {
        match self {
            SendError::Full(message) | SendError::Stopped(message) => message,
        }
    }
}

impl<M> fmt::Debug for SendError<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Full(_) => "Full",
            SendError::Stopped(_) => "Stopped",
        })
    }
}

/// Why an ask got no answer.
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
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Fragile>::new("fragile", ());
/// # let fragile = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// match fragile.ask(Divide(0)).await {
///     Ok(quotient) => println!("{quotient}"),
///     // Not handled, so it may be tried again without harm.
///     Err(AskError::Full | AskError::Refused | AskError::Evicted) => println!("busy"),
///     // Handled, perhaps.
///     Err(error @ (AskError::Panicked | AskError::TimedOut(_))) => println!("{error}"),
///     Err(error) => return Err(error.into()),
/// }
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// The mailbox is full, and stayed so for as long as its policy waits. The message was not taken.
    #[error("the mailbox is full")]
    Full,
    /// The actor panicked on this message, or on another one while this one was in flight.
    #[error("the actor panicked before it answered")]
    Panicked,
    /// The actor stopped, or was killed or restarted, before it answered.
    #[error("the actor stopped before it answered")]
    Stopped,
    /// The message was turned away by the mailbox's policy (`DropNewest`).
    #[error("the mailbox was full and its policy drops what comes last")]
    Refused,
    /// The message was taken, and displaced by a newer one (`DropOldest`).
    #[error("the message was displaced by a newer one")]
    Evicted,
    /// The actor asked itself while it held itself: no answer could ever come. Ask from a [`Later`](crate::Later) or a
    /// spawned future, or call what the message would do.
    #[error("an actor that waits for its own answer would wait for ever")]
    SelfAsk,
    /// No answer came within the limit. The message may still be handled, unless it is still waiting:
    /// a waiting ask whose caller went away is skipped.
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
}

impl<M> From<SendError<M>> for AskError {
    fn from(refused: SendError<M>) -> Self {
        let (why, message) = match refused {
            SendError::Full(message) => (AskError::Full, message),
            SendError::Stopped(message) => (AskError::Stopped, message),
        };
        // The asker hears why, whatever the message's Drop does.
        bury(message);
        why
    }
}

/// A specification that cannot work: where, and what would be right.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Idle;
/// # impl Actor for Idle {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Idle) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let twins = SupervisorSpec::new("twins")
///     .child(ChildSpec::<Idle>::new("castor", ()))
///     .child(ChildSpec::<Idle>::new("castor", ()));
/// let root = SupervisorSpec::new("root").supervisor(twins);
/// let error = ActorSystem::builder("example").executors(1).start(root).await.expect_err("two of one name");
/// let StartSystemError::Invalid(SpecError { path, problem }) = error else { panic!("{error}") };
/// assert_eq!(path, "twins/castor");
/// assert_eq!(problem, "two children of one supervisor have this name");
/// # });
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{path}`: {problem}")]
pub struct SpecError {
    /// The path of the child or supervisor, from below the root.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub problem: String,
}

/// Why a child was not started at run time.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Limit;
/// # impl Actor for Limit {
/// #     type Args = &'static str;
/// #     async fn start(text: &'static str, _: &mut Context<Self>) -> Result<Self, StartError> {
/// #         text.parse::<u32>()?;
/// #         Ok(Limit)
/// #     }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = DynamicSupervisorSpec::new("limits").max_children(1);
/// let limits = spec.handle();
/// let limit = |name: &'static str, text| ChildSpec::<Limit>::new(name, text).restart(Restart::Temporary);
/// assert_eq!(limits.spawn_child(limit("size", "8")), Err(StartChildError::NotRunning));
///
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").dynamic(spec)).await?;
/// let failed = limits.start_child(limit("size", "many")).await.expect_err("no number");
/// assert_eq!(failed.to_string(), "the child did not start: did not start: invalid digit found in string");
/// limits.start_child(limit("size", "8")).await?; // nothing was left of the other one
/// let refused = limits.spawn_child(limit("weight", "9"));
/// assert_eq!(refused, Err(StartChildError::Full { max_children: 1 }));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StartChildError {
    /// The supervisor is not running: not started yet, restarting, stopping or stopped.
    #[error("the supervisor is not running")]
    NotRunning,
    /// The dynamic supervisor has as many children as it may have.
    #[error("the supervisor has its {max_children} children already")]
    Full {
        /// Its limit.
        max_children: usize,
    },
    /// A living child has the name.
    #[error("there is a child `{name}` already")]
    NameTaken {
        /// The name.
        name: String,
    },
    /// The specification cannot work.
    #[error(transparent)]
    Invalid(#[from] SpecError),
    /// The child was started, and ended before it ran.
    #[error("the child did not start: {0}")]
    NotStarted(StopReason),
}

/// Why an [`ActorSystem`](crate::ActorSystem) did not start.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Limit;
/// # impl Actor for Limit {
/// #     type Args = &'static str;
/// #     async fn start(text: &'static str, _: &mut Context<Self>) -> Result<Self, StartError> {
/// #         text.parse::<u32>()?;
/// #         Ok(Limit)
/// #     }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let root = |text| SupervisorSpec::new("root").child(ChildSpec::<Limit>::new("limit", text));
/// let builder = ActorSystem::builder("example");
/// let nowhere = builder.clone().executors(0).start(root("8")).await;
/// assert!(matches!(nowhere, Err(StartSystemError::NoExecutors)));
/// match builder.executors(1).start(root("many")).await {
///     Err(StartSystemError::RootFailed(reason)) => assert!(reason.to_string().contains("invalid digit")),
///     other => panic!("{other:?}"),
/// }
/// # });
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartSystemError {
    /// The specification cannot work.
    #[error(transparent)]
    Invalid(#[from] SpecError),
    /// The program is built with `panic = "abort"`: no panic could be survived.
    #[error("the program is built with panic = \"abort\"; supervision needs panic = \"unwind\"")]
    PanicAborts,
    /// No worker executor was asked for.
    #[error("a system needs at least one worker executor")]
    NoExecutors,
    /// A thread could not be started.
    #[error("an executor thread could not be started")]
    Thread(#[from] std::io::Error),
    /// The root supervisor did not start. Whatever had started was stopped again.
    #[error("the root supervisor did not start: {0}")]
    RootFailed(StopReason),
}
