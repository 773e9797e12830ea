//! Workflows: what is asked of them, and the role that lets them go on.

mod attempt;
mod follower;
mod inputs;
pub(super) mod request;
mod views;

pub(crate) use attempt::AttemptSteps;
pub(crate) use follower::Workflows;
pub(super) use inputs::{Shown, inputs};
pub(super) use views::{graph, list, steps, view};
