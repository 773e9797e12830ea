//! Supervised actors: restart in place, bounded mailboxes, a tree that can be watched.
//!
//! An [`Actor`] handles typed messages, one at a time. A panic ends one *generation* of it: its supervisor starts the
//! next one under the same address and with the same queue. Lost are the message that panicked and what ran with it,
//! and whoever asked hears why at once. What a supervisor does after a crash, how often and how soon, is said in its
//! [`SupervisorSpec`]; the terms and their meaning are those of Erlang/OTP's `supervisor`.
//!
//! ```
//! use callboard_supervisors::*;
//!
//! #[derive(Message)]
//! #[message(reply = u8)]
//! struct Add(u8);
//!
//! struct Counter(u8);
//!
//! impl Actor for Counter {
//!     type Args = u8;
//!     async fn start(first: u8, _: &mut Context<Self>) -> Result<Self, StartError> {
//!         Ok(Counter(first))
//!     }
//! }
//!
//! impl PlainHandler<Add> for Counter {
//!     type Reply = u8;
//!     fn handle(&mut self, Add(amount): Add, _: &mut Context<Self>) -> u8 {
//!         self.0 = self.0.checked_add(amount).expect("eight bits");
//!         self.0
//!     }
//! }
//!
//! # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
//! let counter = ChildSpec::<Counter>::new("counter", 200);
//! let address = counter.actor_ref();
//! let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(counter)).await?;
//! assert_eq!(address.ask(Add(50)).await, Ok(250));
//! assert_eq!(address.ask(Add(50)).await, Err(AskError::Panicked));
//! assert_eq!(address.ask(Add(1)).await, Ok(201)); // the same address, the next generation
//! assert!(system.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
//! # Ok::<(), StartSystemError>(())
//! # }).unwrap();
//! ```
//!
//! # What is where
//!
//! | to | see |
//! |---|---|
//! | write an actor and its messages | [`Actor`], [`Message`], [`PlainHandler`], [`Handler`], [`Later`], [`Context`] |
//! | send to one | [`ActorRef`], [`Recipient`] of any actor that handles a message, [`SendError`], [`AskError`] |
//! | declare a tree | [`ChildSpec`], [`SupervisorSpec`], [`DynamicSupervisorSpec`], [`PoolSpec`] |
//! | say what follows a crash | [`Restart`], [`Strategy`], [`Backoff`], [`OnExhausted`], [`OnStartFailure`], [`AutoShutdown`], [`ChildExited`] |
//! | bound a mailbox | [`MailboxSpec`], [`Overflow`], [`Handler::coalesce`], [`Undelivered`] |
//! | say where an actor runs | [`Placement`], [`ActorSystemBuilder::executors`] |
//! | run it, and stop it | [`ActorSystem`], [`ActorSystemBuilder`], [`ShutdownPlan`], [`ShutdownReport`] |
//! | change a running tree | [`Supervisor`], [`DynamicSupervisor`], [`ActorHandle`] |
//! | set timers, read streams | [`Context::after`], [`Context::interval`], [`Context::send_after`], [`Context::attach`] |
//! | find an actor | [`Registry`], [`ActorSystem::find`] |
//! | spread work, tell many | [`Pool`], [`Router`], [`Routing`], [`Topic`], [`SlowSubscriber`], [`Group`] |
//! | see what happens | [`ActorSystem::snapshot`], [`TreeSnapshot`], [`LatencySnapshot`], [`CrashRecord`], [`ActorSystem::changes`], [`ActorSystemBuilder::watchdog`] |
//! | supervise actix actors | [`adoption`] |
//! | test actors | the module `testkit` |
//!
//! # What holds everywhere
//!
//! * Mailboxes, replies under way, feeds, lists of crashes, names, topics and groups are bounded; the children of a
//!   dynamic supervisor are once you say how many there may be.
//! * A panic in what a user wrote costs one generation, or what its documentation says. Others notice it only as the
//!   [`Strategy`] says.
//! * Whoever waits is told: an ask ends with a reply, or with the reason why there is none, 5 s later at most unless
//!   said otherwise.
//! * Dropping a future of this crate leaves nothing behind but what its documentation names.
//! * What waits (`ask`, `send`, `shutdown`) needs a tokio runtime with its timers around it, of either kind.
//!
//! `docs/guide.md` leads from zero to a supervised application, `docs/runtime-semantics.md` is the contract, with the
//! test for each promise, and `docs/testing.md` shows the test kit.
//!
//! # Features
//!
//! None is on by default.
//!
//! * `json`: `TreeSnapshot::to_json`.
//! * `testkit`: the module `testkit` for tests of actors: a paused clock, probes, scripted faults, and many orders of
//!   events. For `[dev-dependencies]`.

mod actix;
mod actor;
mod context;
mod core;
mod envelope;
mod error;
mod executor;
mod export;
mod group;
mod handler;
mod label;
mod later;
mod mailbox;
mod meta;
#[cfg(all(test, callboard_loom))]
mod models;
mod moment;
mod pool;
mod reference;
mod registry;
mod reply;
mod supervisor;
mod sync;
mod system;
mod task;
mod telemetry;
#[cfg(feature = "testkit")]
pub mod testkit;
mod waiting;

pub use crate::{
    actix::{Message, adoption},
    actor::{Actor, StartError},
    context::{Context, StreamHandle, TimerHandle},
    error::{AskError, SendError, SpecError, StartChildError, StartSystemError},
    executor::Placement,
    group::{Group, JoinError, Published, SlowSubscriber, SubscribeError, Subscription, Topic},
    handler::{Handler, PlainHandler, Reply},
    later::Later,
    mailbox::{MailboxSpec, Overflow},
    meta::{
        ActorId, ActorSnapshot, BlockingSnapshot, CrashRecord, CurrentMessage, Kind, State, StopReason,
        SupervisionSnapshot, TreeSnapshot, WaitingFor,
    },
    pool::{Broadcast, Members, OnFull, Pool, PoolSpec, ResizeError, Router, Routing},
    reference::{ActorHandle, ActorRef, Recipient},
    registry::{NoMoreNames, RegisterError, Registry},
    supervisor::{
        AutoShutdown, Backoff, ChildExited, ChildSpec, DynamicSupervisor, DynamicSupervisorSpec, OnExhausted,
        OnStartFailure, Restart, Shutdown, Strategy, Supervisor, SupervisorSpec,
    },
    system::{ActorSystem, ActorSystemBuilder, PhaseReport, ShutdownPlan, ShutdownReport},
    telemetry::{Change, ChangeFeed, ChangeKind, LatencySnapshot, Missed, Undelivered, UndeliveredReason},
};
pub use callboard_supervisors_macros::{CallboardMessage, Message};

/// For the derive macro only.
#[doc(hidden)]
pub mod __private {
    pub use ::actix::Message as ActixMessage;
}
