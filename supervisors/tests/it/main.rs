//! What the runtime promises, on a clock that tests move.

mod crashes;
mod mailboxes;
mod supervision;
mod worker;
