//! Plain actix actors as children of our supervisors.
//!
//! An actor with `type Context = actix::Context<Self>` is adopted as it is: it hangs in the tree, is seen, watched,
//! stopped and restarted as any other child, and a panic anywhere in it, which actix would let through, ends one
//! generation of it. What it does not gain is what lies in its mailbox, which stays actix's: depth and messages handled
//! are not known and shown as 0, a crash record names no message, and there is no budget of messages in a row.
//!
//! * With [`AdoptedSpec::new`] each generation is a new actor with a new address, which [`Adopted::addr`] gives.
//! * With [`AdoptedSpec::supervised`], for actors that are [`actix::Supervised`], the actor is restarted in place:
//!   address and queue stay.
//!
//! A stop is `ctx.stop()`: actix abandons the futures that are under way, `stopping` is called, and `stopped`. An actor
//! whose `stopping` returns `Running::Continue` goes on until it stops by itself, or its shutdown timeout has passed;
//! then it is dropped without a further hook, as after a kill. It does not end when its last address is dropped.
//!
//! No actix `System` or `Arbiter` is there, nor needed: timers, `ctx.spawn` and `Actor::start` work, `System::current`
//! panics. A value whose `Drop` panics costs nothing but a line in the log; two in one actor (its state, its futures)
//! abort the process, as actix drops them in one go.
//!
//! ```
//! use callboard_supervisors::{
//!     ActorSystem, Message, SupervisorSpec,
//!     adoption::{AdoptedSpec, actix},
//! };
//!
//! #[derive(Message)]
//! #[message(reply = u8)]
//! struct Add(u8);
//!
//! struct Counter(u8);
//!
//! impl actix::Actor for Counter {
//!     type Context = actix::Context<Self>;
//! }
//!
//! impl actix::Handler<Add> for Counter {
//!     type Result = u8;
//!     fn handle(&mut self, Add(amount): Add, _: &mut Self::Context) -> u8 {
//!         self.0 = self.0.checked_add(amount).expect("eight bits");
//!         self.0
//!     }
//! }
//!
//! # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
//! let spec = AdoptedSpec::new("counter", || Counter(200));
//! let counter = spec.adopted();
//! let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").adopted(spec)).await?;
//! let first = counter.addr().expect("it runs");
//! assert_eq!(first.send(Add(50)).await, Ok(250));
//! assert_eq!(counter.send(Add(50)).await, Err(actix::MailboxError::Closed)); // it panicked
//! assert_eq!(counter.send(Add(1)).await, Ok(201)); // the next generation, at an address of its own
//! assert!(!first.connected());
//! assert_eq!(counter.handle().snapshot().generation, 1);
//! assert!(system.shutdown(std::time::Duration::from_secs(5)).await.is_clean());
//! # Ok::<(), callboard_supervisors::StartSystemError>(())
//! # }).unwrap();
//! ```

/// The very crate whose actors can be adopted.
pub use ::actix;

pub use super::{adopted::Adopted, adopted_spec::AdoptedSpec};
