//! Jobs, the roles that run them, and the edges to the outside.

pub mod edges;
pub mod jobs;
pub mod roles;
