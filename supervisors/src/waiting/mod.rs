//! Who waits for whom: an actor whose handler waits for an answer handles nothing else meanwhile.

mod asker;
mod edges;

pub(crate) use asker::{asking, is_asking};
pub(crate) use edges::{Target, Waiting, waits_of, while_waiting};
