//! What a node was told to be, and who in its process can do what the roles cannot.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
};

use callboard_contracts::api::TreeNode;
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::request::Who;
use crate::edges::store::record::READER;

/// What an actor, or a supervisor with all below it, can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActorOrder {
    /// To start anew.
    Restart,
    /// To handle no messages for now.
    Suspend,
    /// To handle messages again.
    Resume,
    /// To end for good.
    Stop,
}

/// What only the process knows how to do: the roles do not know the tree that they are in.
pub trait Host: Send + Sync + 'static {
    /// Tells this to the actor or supervisor at this path of the tree.
    ///
    /// # Errors
    /// Why not, for people.
    fn order_actor(&self, path: &str, order: ActorOrder) -> Result<(), String>;

    /// Ends the process in good order, soon.
    fn leave(&self);

    /// Whether settings of these keys can be set while a program runs.
    ///
    /// # Errors
    /// Which cannot, and why, for people.
    fn check_settings(&self, keys: &[&str]) -> Result<(), String>;

    /// Sets settings while the program runs, above all their sources; `None` takes back what was set so. What came of it, for
    /// people.
    ///
    /// # Errors
    /// Why not, for people. Nothing has changed then.
    fn change_settings(
        &self,
        settings: BTreeMap<String, Option<String>>,
        who: Who,
    ) -> BoxFuture<'static, Result<String, String>>;

    /// The supervision tree as it is now, without backtraces. `None`, as by default: this program does not show it.
    fn tree(&self) -> Option<TreeNode> {
        None
    }
}

/// What a node was told and has found out about itself. It outlives the actors that learn it.
#[derive(Default)]
pub(crate) struct Standing {
    paused: AtomicBool,
    /// The reader that the store needs, if this program is none.
    too_old_for: AtomicU32,
    /// There may be commands.
    pub(super) ordered: Notify,
    host: Mutex<Option<Arc<dyn Host>>>,
}

impl Standing {
    /// Whether jobs may be claimed and started.
    pub(crate) fn claims(&self) -> bool {
        !self.paused.load(SeqCst) && self.too_old_for.load(SeqCst) == 0
    }

    pub(super) fn pause(&self, paused: bool) {
        self.paused.store(paused, SeqCst);
    }

    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(SeqCst)
    }

    /// The reader that the store needs of whoever claims. Whether that changes what this node may do.
    pub(super) fn needs_reader(&self, least: u32) -> bool {
        let too_old_for = if least > READER { least } else { 0 };
        self.too_old_for.swap(too_old_for, SeqCst) != too_old_for
    }

    pub(super) fn too_old_for(&self) -> Option<u32> {
        Some(self.too_old_for.load(SeqCst)).filter(|needed| *needed > 0)
    }

    pub(super) fn host(&self) -> Option<Arc<dyn Host>> {
        self.host.lock().clone()
    }

    pub(super) fn set_host(&self, host: Option<Arc<dyn Host>>) {
        // What was there before is dropped by whoever used it last.
        drop(std::mem::replace(&mut *self.host.lock(), host));
    }
}
