//! What a supervisor tells others.

use std::sync::Arc;

use crate::meta::{ActorId, CrashRecord, StopReason};

/// A generation of a child ended. Sent to the recipient of `on_exit`, once for each end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildExited {
    /// The supervisor's path; empty for the root.
    pub supervisor: Arc<str>,
    /// The child's name below it.
    pub name: Arc<str>,
    /// The child's identity.
    pub actor: ActorId,
    /// The generation that ended.
    pub generation: u64,
    /// Why.
    pub reason: StopReason,
    /// If it was a crash.
    pub crash: Option<Arc<CrashRecord>>,
    /// Whether another generation follows. If not, the child is gone for good, or waits for its supervisor to be
    /// restarted.
    pub restarting: bool,
}

impl ::actix::Message for ChildExited {
    type Result = ();
}
