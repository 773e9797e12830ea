//! What calls to a server outside go through: a breaker that stops asking one that is away, a limit of time, and a bound of
//! calls at once.
//!
//! An edge is *connecting* until a call succeeds for the first time, *ready* while calls succeed, *degraded* after one that
//! failed, and *tripped* after several in a row: then no call is made until a while has passed, and after that a single one at
//! a time, the probe. If it succeeds the edge is ready, else it stays tripped for twice as long.

mod guard;
mod numbers;
mod state;
#[cfg(test)]
mod tests;

pub use guard::{CallError, EdgeGuard, GuardSettings};
pub use numbers::EdgeNumbers;
pub use state::{Breaker, BreakerSettings, EdgePhase, EdgeStanding, Permit};
