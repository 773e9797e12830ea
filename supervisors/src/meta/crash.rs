//! [`CrashRecord`].

use std::{backtrace::Backtrace, fmt, time::SystemTime};

use crate::meta::{ActorId, StopReason};

/// What is known of one crash: a panic, a start that failed, or a supervisor that gave up.
///
/// Its `Display` writes everything and resolves the backtrace, which takes milliseconds: not on an executor's thread.
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
/// # let fragile = ChildSpec::<Fragile>::new("fragile", ());
/// # let address = fragile.actor_ref();
/// # let root = SupervisorSpec::new("root").child(fragile);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// address.ask(Divide(0)).await.expect_err("it panics");
/// address.ask(Divide(1)).await?; // the next generation runs, so all is known of the one before
/// let crash = address.snapshot().last_crash.expect("it crashed");
/// assert_eq!((crash.path.as_str(), crash.generation), ("fragile", 0));
/// assert!(matches!(&crash.reason, StopReason::Panicked { message: Some(kind), .. } if kind.ends_with("Divide")));
/// println!("{crash}"); // with the backtrace
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct CrashRecord {
    /// When.
    pub at: SystemTime,
    /// Whose.
    pub actor: ActorId,
    /// Its path within the system.
    pub path: String,
    /// Its Rust type.
    pub actor_type: &'static str,
    /// Which generation of it.
    pub generation: u64,
    /// Why.
    pub reason: StopReason,
    /// Where in the source the panic happened: file, line and column.
    pub location: Option<String>,
    /// Captured without its symbols. None for what is no panic, and when there are more than 2,000 panics a second.
    pub backtrace: Option<Backtrace>,
}

impl fmt::Display for CrashRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` ({}, generation {}): {}", self.path, self.actor_type, self.generation, self.reason)?;
        if let Some(location) = &self.location {
            write!(f, "\nat {location}")?;
        }
        if let Some(backtrace) = &self.backtrace {
            write!(f, "\n{backtrace}")?;
        }
        Ok(())
    }
}
