//! Jobs, the roles that run them, and the edges to the outside.

pub mod jobs;
