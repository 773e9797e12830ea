//! The store by itself: what its operations do, that they agree with a model, and what trouble does to it.

mod concurrency;
mod harness;
mod model;
mod operations;
mod trouble;
