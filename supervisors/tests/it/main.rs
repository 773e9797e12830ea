//! What the runtime promises, on a clock that tests move.

mod control;
mod crashes;
mod fairness;
mod mailboxes;
mod shutdown;
mod strategies;
mod stuck;
mod supervision;
mod undelivered;
mod unreferenced;
mod probes;
mod strategies;
mod stuck;
mod supervision;
mod test_systems;
mod worker;
