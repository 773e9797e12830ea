//! Which actors are to end in order.

use std::sync::Arc;

use crate::{
    meta::Kind,
    reference::Node,
    supervisor::{Shutdown, SupervisorNode},
};

impl SupervisorNode {
    /// All actors below that are not to be killed at a shutdown.
    pub(crate) fn orderly(&self) -> Vec<Arc<dyn Node>> {
        let below: Vec<Arc<dyn Node>> = self.with(|body| {
            let children = body.children.iter();
            let orderly = children.filter(|(key, _)| body.plan.shutdown_of(**key) != Some(Shutdown::Brutal));
            orderly.map(|(_, child)| child.node.clone()).collect()
        });
        let below = below.into_iter().map(|node| match node.meta().kind() {
            Kind::Actor => vec![node],
            _ => node.into_any().downcast::<SupervisorNode>().map(|node| node.orderly()).unwrap_or_default(),
        });
        below.flatten().collect()
    }
}
