//! What a job is, and the job types that come with Callboard.

pub mod command;
