//! Whole-system tests: they start the real program.

mod checksums;
mod life;
mod server;
