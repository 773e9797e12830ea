//! The live feed: what there is to watch, looked at once a second for all who watch, and told as what has changed.

mod alerts;
mod board;
mod changes;
mod hub;
mod overview;
mod series;
mod stream;

pub(crate) use board::Board;
pub(crate) use hub::{HubArgs, LiveHub};
pub(crate) use overview::{Scene, answer as overview};
pub(crate) use series::series;
pub(crate) use stream::feed;
