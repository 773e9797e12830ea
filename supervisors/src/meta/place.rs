//! [`Place`]: where a node hangs in the tree.

use std::sync::Arc;

use crate::{executor::BlockingPool, telemetry::Telemetry};

/// Where a node hangs in the tree, and so whom it tells what happens to it. The root's own name is no part of a path.
pub(crate) struct Place {
    above: Option<Arc<Place>>,
    name: Arc<str>,
    telemetry: Arc<Telemetry>,
    blocking: Arc<BlockingPool>,
}

impl Place {
    /// Where the root of a system hangs.
    pub(crate) fn top(telemetry: Arc<Telemetry>, blocking: Arc<BlockingPool>) -> Arc<Self> {
        Arc::new(Place { above: None, name: "".into(), telemetry, blocking })
    }

    /// The place of what hangs below the node `name`, which hangs at `above` itself.
    pub(crate) fn below(above: Option<&Arc<Place>>, name: &Arc<str>) -> Arc<Self> {
        let telemetry = above.map_or_else(Arc::default, |place| place.telemetry.clone());
        let blocking = above.map_or_else(Arc::default, |place| place.blocking.clone());
        Arc::new(Place { above: above.cloned(), name: name.clone(), telemetry, blocking })
    }

    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }

    pub(crate) fn blocking(&self) -> &Arc<BlockingPool> {
        &self.blocking
    }

    /// The path of `name` below `path`, which is empty for the root.
    pub(crate) fn join(path: &str, name: &str) -> String {
        if path.is_empty() { name.into() } else { format!("{path}/{name}") }
    }

    /// The path of the node `name` that hangs at `above`.
    pub(crate) fn path_of(above: Option<&Arc<Place>>, name: &str) -> String {
        let mut names = vec![name];
        let mut at = above;
        while let Some(place) = at {
            names.push(&place.name);
            at = place.above.as_ref();
        }
        // Without the root and the top, which is above it.
        names.truncate(names.len().saturating_sub(2));
        names.reverse();
        names.join("/")
    }
}
