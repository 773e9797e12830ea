//! The task that owns one actor: panics, orders, deaths.

mod actor_loop;
mod actor_task;
mod exit;
mod order;
mod panics;

pub(crate) use actor_loop::ActorLoop;
pub(crate) use actor_task::Launch;
pub(crate) use exit::{Cause, Exit, Link, Notice, What};
pub(crate) use order::{ORDERS, Order, Orders, STOP, SUSPEND};
pub(crate) use panics::{Panic, caught, install_hook, unrecorded};
