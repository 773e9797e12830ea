//! Whole-system tests: they start the real program.

mod access;
mod checksums;
mod cli;
mod connections;
mod crashing;
mod events;
mod examples;
mod fleet;
mod kill_matrix;
mod life;
mod logs;
mod once;
mod openapi;
mod outage;
mod output;
mod pages;
mod requests;
mod semantics;
mod server;
mod stream;
mod telemetry;
mod traces;
mod transactions;
