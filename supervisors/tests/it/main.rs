//! What the runtime promises, on a clock that tests move.

mod control;
mod crashes;
mod fairness;
mod mailboxes;
mod strategies;
mod stuck;
mod supervision;
mod worker;
