//! Many actors under one name.

mod copies;
mod roster;

pub(crate) use copies::Copies;
pub(crate) use roster::{Roster, Seat};
