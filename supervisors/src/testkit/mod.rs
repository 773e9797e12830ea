//! For tests of actors: a paused clock, probes, signals, and expectations that fail with a reason.
//!
//! Behind the feature `testkit`, which belongs into `[dev-dependencies]`. Everything in here fails by a panic that says
//! what was expected, where, for how long, and what came instead. Time limits are those of tokio's clock, which stands
//! still inside of [`run`] but for moments in which nothing else can happen: a limit of seconds costs microseconds.
//!
//! ```
//! use callboard_supervisors::{testkit::*, *};
//!
//! #[derive(Message)]
//! struct Alarm(&'static str);
//!
//! /// Rings when it was not held off for a minute.
//! struct Watchdog(Recipient<Alarm>);
//!
//! impl Actor for Watchdog {
//!     type Args = Recipient<Alarm>;
//!     async fn start(to: Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
//!         cx.after(std::time::Duration::from_secs(60), |dog, cx| {
//!             // Whoever is to be alarmed may be gone.
//!             let _ = dog.0.tell(Alarm("nobody came"));
//!             cx.stop();
//!         });
//!         Ok(Watchdog(to))
//!     }
//! }
//!
//! run(async {
//!     let mut alarms = Probe::<Alarm>::new("alarms");
//!     let dog = ChildSpec::<Watchdog>::new("dog", alarms.recipient()).restart(Restart::Temporary);
//!     let system = TestSystem::start(SupervisorSpec::new("root").child(dog)).await;
//!     alarms.expect_none_within(std::time::Duration::from_secs(59)).await;
//!     assert_eq!(alarms.expect().await.0, "nobody came");
//!     system.shutdown().await;
//! });
//! ```

mod backlog;
mod clock;
mod explore;
mod faults;
mod lifecycle;
mod probe;
mod signal;
mod test_system;

use std::time::Duration;

pub use clock::{advance, run, settle};
pub use explore::explore;
pub(crate) use faults::Script;
pub use faults::{Fault, Faults};
pub use lifecycle::{Observed, await_generation, await_state, await_stopped};
pub use probe::{Asked, Probe};
pub use signal::Signal;
pub use test_system::TestSystem;

/// How long an expectation waits unless it is told otherwise: 3 s of tokio's clock.
pub const DEADLINE: Duration = Duration::from_secs(3);
