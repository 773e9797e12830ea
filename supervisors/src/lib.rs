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
//! The feature `testkit` adds the module `testkit` for tests of actors: a paused clock, probes, scripted faults, and many
//! orders of events.

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
        ActorId, ActorSnapshot, CrashRecord, CurrentMessage, Kind, State, StopReason, SupervisionSnapshot,
        TreeSnapshot, WaitingFor,
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
