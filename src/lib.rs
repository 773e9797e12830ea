//! Supervised actors, and a job system that runs on them.
