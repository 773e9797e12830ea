//! [`Home`]: on which threads a supervisor's children live.

use std::sync::Arc;

use crate::{
    executor::{Executor, Placement},
    supervisor::Runtime,
};

/// Where the children run that do not say.
#[derive(Clone)]
pub(super) enum Home {
    One(Arc<Executor>),
    EachWorker,
}

impl Home {
    pub(super) fn executor(&self, placement: Placement, runtime: &Runtime) -> Arc<Executor> {
        match (placement, self) {
            (Placement::Control, _) => runtime.executors.control().clone(),
            (Placement::Parent, Home::One(executor)) => executor.clone(),
            (Placement::Workers, _) | (Placement::Parent, Home::EachWorker) => {
                runtime.executors.worker().clone()
            }
        }
    }
}
