//! The store on PostgreSQL: what only it can get wrong. That it does what every store does, the conformance suite tells.

mod enqueue_in;
mod faults;
mod log;
mod nodes;
mod proxy;
mod rates;
mod schema;
mod sessions;
mod support;
mod totals;
