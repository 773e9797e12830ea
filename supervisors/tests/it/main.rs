//! What the runtime promises, on a clock that tests move.

mod adoption;
mod control;
mod crashes;
mod dynamic;
mod fairness;
mod faults;
mod lifecycles;
mod mailboxes;
mod messages;
mod panics;
mod pools;
mod probes;
mod registry;
mod routers;
mod seeds;
mod seeing;
mod shutdown;
mod plain;
mod strategies;
mod stuck;
mod supervision;
mod test_systems;
mod undelivered;
mod unreferenced;
mod warnings;
mod worker;
