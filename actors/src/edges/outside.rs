//! The servers outside that a node works with beside its store, as its roles see them.

use std::{fmt, sync::Arc};

use futures_util::future::BoxFuture;

use super::{
    archive::ReadArchive,
    breaker::{EdgeGuard, EdgeNumbers},
    counters::ReadCounters,
    windows::CountWindows,
};

/// Something to be done with a server outside, through its guard, which knows what becomes of it.
pub type EdgeTask = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

/// A server outside that is kept an eye on.
#[derive(Clone)]
pub struct OutsideEdge {
    /// What calls go through.
    pub guard: EdgeGuard,
    /// Connects if need be, and asks for a sign of life.
    pub ping: EdgeTask,
    /// What is done every minute while it is ready, on each node; nothing by default.
    pub upkeep: Option<EdgeTask>,
}

impl fmt::Debug for OutsideEdge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutsideEdge { guard, ping: _, upkeep: _ } = self;
        f.debug_struct("OutsideEdge").field("guard", guard).finish_non_exhaustive()
    }
}

/// All servers outside of a node. By default there is none.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Those that are kept an eye on.
    pub edges: Vec<OutsideEdge>,
    /// What calls to them come to.
    pub numbers: EdgeNumbers,
    /// Where totals are read, if not from the store.
    pub counters: Option<Arc<dyn ReadCounters>>,
    /// Where old events are read, if not from the store's log.
    pub archive: Option<Arc<dyn ReadArchive>>,
    /// Where limits are counted that hold over all nodes, if not by each node for itself.
    pub windows: Option<Arc<dyn CountWindows>>,
}

/// Who writes what programs outside read: exactly one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// This fleet.
    Callboard,
    /// Another program; this fleet only reads.
    External,
}
