//! How a supervisor hears of its children.

use std::sync::Arc;

use crate::{
    meta::{CrashRecord, StopReason},
    supervisor::Inbox,
};

/// What a child's end means for its supervisor, whatever the reason reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// It broke: a panic, a failed start, a kill, a supervisor that gave up.
    Crash,
    /// It stopped by itself.
    Finished,
    /// Somebody stopped it for good.
    Stopped,
    /// Somebody wants the next generation of it.
    RestartAsked,
    /// Its supervisor had it end.
    Halted,
    /// Its task is gone, and no generation can follow.
    Lost,
}

/// The end of a generation.
#[derive(Clone, Debug)]
pub(crate) struct Exit {
    pub(crate) generation: u64,
    pub(crate) cause: Cause,
    pub(crate) reason: StopReason,
    pub(crate) crash: Option<Arc<CrashRecord>>,
    /// The child is gone for good already.
    pub(crate) ended: bool,
}

pub(crate) enum What {
    Started {
        generation: u64,
    },
    /// Somebody wants it to end at once.
    Killed {
        generation: u64,
    },
    Exited(Exit),
}

/// A child reports at most one start and one end for each generation, and its supervisor begins the next generation
/// only after it has read of the end; of kills only one that no other waits before: so there are never more than a few
/// notices for each child.
pub(crate) struct Notice {
    pub(crate) child: u64,
    pub(crate) what: What,
}

/// The way from a child to its supervisor.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) child: u64,
}

impl Link {
    pub(crate) fn started(&self, generation: u64) {
        self.inbox.put(Notice { child: self.child, what: What::Started { generation } });
    }

    pub(crate) fn killed(&self, generation: u64) {
        self.inbox.put(Notice { child: self.child, what: What::Killed { generation } });
    }

    pub(crate) fn exited(&self, exit: Exit) {
        self.inbox.put(Notice { child: self.child, what: What::Exited(exit) });
    }
}
