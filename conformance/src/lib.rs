//! What every backend of Callboard's ports must do, in the same way: suites for the tests of whoever writes one.
//!
//! A port is a trait of `callboard-actors`; `docs/ports.md` says what each promises. A backend's author describes it to a suite, by
//! a trait of this package, and declares the suite's cases as tests of his own:
//!
//! | port | suite | described by |
//! |---|---|---|
//! | [`Store`](callboard_actors::edges::store::Store) | [`store_suite!`] | [`store::Backend`] |
#![cfg_attr(
    feature = "sinks",
    doc = "| [`EventSink`](callboard_actors::edges::sink::EventSink) | [`sink_suite!`] | [`sink::Subject`] |"
)]
#![cfg_attr(
    feature = "bus",
    doc = "| [`Publish`](callboard_actors::edges::bus::Publish) and who calls [`Receive`](callboard_actors::edges::bus::Receive) | [`bus_suite!`] | [`bus::Subject`] |"
)]
//!
//! The cases use nothing but public API, so a backend of another repository is held to what Callboard's own are held to.
//! Callboard's own run the same suites: `conformance/tests`, and for Redis and MongoDB `actors/tests`.
#![allow(clippy::unwrap_used, reason = "a test says by its panic what is wrong, also in its helpers")]

#[cfg(feature = "bus")]
pub mod bus;
#[cfg(feature = "sinks")]
pub mod node;
#[cfg(any(feature = "bus", feature = "sinks"))]
mod server;
#[cfg(feature = "sinks")]
pub mod sink;
pub mod store;

#[cfg(any(feature = "bus", feature = "sinks"))]
pub use server::Server;

/// What stands in `docs/ports.md` is compiled.
#[cfg(all(doctest, feature = "sinks"))]
#[doc = include_str!("../../docs/ports.md")]
struct Ports;

/// Carries out what a case does.
fn block_on<T>(case: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("threads for a test").block_on(case)
}
