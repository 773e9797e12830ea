//! PostgreSQL for tests: a database of one's own on the shared server ([`Database`]), and a server of one's own that can
//! be stopped, killed and frozen ([`PrivatePostgres`]).
//!
//! Everything here blocks, works inside and outside of an async runtime, panics with what went wrong, and is gone when
//! it is dropped. `scripts/services run -- COMMAND` makes sure that there is a shared server.

mod database;
mod private;
mod processes;
mod programs;

pub use self::{database::Database, private::PrivatePostgres};
