//! One actor at work: its state, the messages in its hand and its side work. Knows nothing of actix.

mod exclusive;
#[cfg(feature = "testkit")]
mod faults;
mod seat;
mod side;
mod turn;

pub(crate) use exclusive::{Running, run_exclusive, run_plain};
pub(crate) use seat::{Salvage, Seat, empty_morgue};
pub(crate) use side::{Caught, SideWork, Sides, Turn, bury};
pub(crate) use turn::Core;
