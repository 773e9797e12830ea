//! The built-in job types.

pub mod command;
