//! Whole-system tests: they start the real program.

mod checksums;
mod cli;
mod life;
mod requests;
mod server;
