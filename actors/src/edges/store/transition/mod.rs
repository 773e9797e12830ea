//! What an operation does to jobs, whatever keeps them: pure decisions on jobs held in memory.
//!
//! A backend locks and loads the jobs that an operation concerns into [`Changes`], calls the transition, and writes back
//! what has changed, with its events, its ended attempts and its totals, in one transaction.

pub(crate) mod attempt;
pub(crate) mod bulk;
pub(crate) mod cause;
mod changes;
pub(crate) mod code;
pub(crate) mod control;
pub(crate) mod cron;
#[cfg(test)]
mod diagram;
pub(crate) mod encryption;
mod ended_attempt;
pub(crate) mod enqueue;
mod event;
pub(crate) mod fleet;
pub(crate) mod groups;
pub(crate) mod inbox;
mod job_row;
pub(crate) mod keyed;
mod kind;
pub(crate) mod needs;
pub(crate) mod outside;
pub(crate) mod report;
pub(crate) mod signals;
pub(crate) mod stored_event;
#[cfg(test)]
mod tests;
pub(crate) mod turns;
pub(crate) mod unique;
pub(crate) mod window;
pub(crate) mod workflow;
pub(crate) mod workflow_addition;

pub(crate) use changes::{Changes, backlog};
pub(crate) use ended_attempt::EndedAttempt;
pub(crate) use event::Event;
pub(crate) use job_row::JobRow;
pub(crate) use kind::Kind;
