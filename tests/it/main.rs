//! Whole-system tests: they start the real program.

mod checksums;
mod cli;
mod life;
mod output;
mod requests;
mod server;
