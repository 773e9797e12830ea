//! Whole-system tests: they start the real program.

mod checksums;
mod cli;
mod events;
mod life;
mod openapi;
mod output;
mod requests;
mod server;
