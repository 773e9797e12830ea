//! The watchdog: finds actors that have been in one message for too long.
//!
//! It has a thread of its own, because what it looks for may block any other.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

use crate::{
    meta::ActorId,
    reference::Node,
    supervisor::{Runtime, Supervisor},
    telemetry::ChangeKind,
};

/// Nobody needs to know sooner than this, or later.
const SHORTEST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_secs(1);

/// The thread ends when this is dropped.
pub(super) struct Watchdog {
    _stop: Sender<()>,
}

impl Watchdog {
    pub(super) fn start(
        name: &str,
        limit: Duration,
        runtime: Arc<Runtime>,
        root: &Supervisor,
    ) -> io::Result<Self> {
        let (stop, stopped) = channel();
        let root = root.node().clone();
        let rounds = Rounds { limit, runtime, root, reported: HashMap::new() };
        thread::Builder::new().name(format!("{name}-watchdog")).spawn(move || rounds.walk(&stopped))?;
        Ok(Watchdog { _stop: stop })
    }
}

struct Rounds {
    limit: Duration,
    runtime: Arc<Runtime>,
    root: Arc<dyn Node>,
    /// Who was reported, and in which message it was. As many as are stalled.
    reported: HashMap<ActorId, u64>,
}

impl Rounds {
    fn walk(mut self, stopped: &Receiver<()>) {
        let pause = (self.limit / 4).clamp(SHORTEST, LONGEST);
        while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
            self.look();
        }
    }

    fn look(&mut self) {
        let blocked: Vec<bool> = self.runtime.executors.in_order().map(|executor| !executor.ping()).collect();
        let mut reported = HashMap::new();
        let mut open = vec![self.root.clone()];
        while let Some(node) = open.pop() {
            open.extend(node.children());
            let meta = node.meta();
            let Some(current) = meta.current().filter(|current| current.busy >= self.limit) else { continue };
            let (id, message) = (meta.id(), meta.handled());
            reported.insert(id, message);
            if self.reported.get(&id) == Some(&message) {
                continue;
            }
            let blocks_thread = meta.executor().and_then(|at| blocked.get(at)).copied().unwrap_or(false);
            let (message_type, busy) = (current.message_type, current.busy);
            if blocks_thread {
                tracing::warn!(actor = meta.path(), message_type, ?busy, "an actor blocks its thread");
            } else {
                tracing::debug!(
                    actor = meta.path(),
                    message_type,
                    ?busy,
                    "an actor awaits something for long"
                );
            }
            meta.tell_change(|| ChangeKind::Stalled { message_type, busy, blocks_thread });
        }
        self.reported = reported;
    }
}
