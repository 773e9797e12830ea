//! The crashes of a queue on this node, and the pause that they make.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::{Duration, Instant},
};

use callboard_contracts::api::QueuePause;
use parking_lot::Mutex;

use super::crash_window::CrashWindow;

/// What has crashed in a queue on this node. It outlives the queue's actors.
///
/// What was counted is forgotten whenever somebody lets the queue go on, of which the store keeps the number: a pause made of these
/// crashes names it, so that it does nothing once there is another one.
pub(crate) struct Crashes {
    state: Mutex<State>,
    /// A pause is due.
    held: AtomicBool,
    began: Instant,
}

#[derive(Default)]
struct State {
    /// How often the queue was let go on, as the store has said last.
    resumes: Option<u64>,
    window: CrashWindow,
    due: Option<Due>,
}

/// A pause that the store does not know yet.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    pub(crate) pause: QueuePause,
    pub(crate) resumes: u64,
    pub(crate) since: Instant,
}

impl Default for Crashes {
    fn default() -> Self {
        Crashes { state: Mutex::default(), held: AtomicBool::new(false), began: Instant::now() }
    }
}

impl Crashes {
    /// Whether the queue is held because a pause is due.
    pub(crate) fn holds(&self) -> bool {
        self.held.load(SeqCst)
    }

    /// An attempt has crashed. True: `limit` of them have within `period`, and the pause that `pause` makes of their number is due
    /// now.
    pub(crate) fn crashed(
        &self,
        limit: u32,
        period: Duration,
        pause: impl FnOnce(u32) -> QueuePause,
    ) -> bool {
        let now = self.began.elapsed();
        self.trip(|window| Some(pause(window.record(now, limit, period)?)))
    }

    /// The queue's own actors have crashed too often. True: the pause is due now.
    pub(crate) fn exhausted(&self, pause: impl FnOnce() -> QueuePause) -> bool {
        self.trip(|_| Some(pause()))
    }

    fn trip(&self, pause: impl FnOnce(&mut CrashWindow) -> Option<QueuePause>) -> bool {
        let state = &mut *self.state.lock();
        // Nothing is claimed before the store has answered, and nobody pauses a queue twice.
        let (Some(resumes), None) = (state.resumes, &state.due) else { return false };
        let Some(pause) = pause(&mut state.window) else { return false };
        state.due = Some(Due { pause, resumes, since: Instant::now() });
        self.held.store(true, SeqCst);
        true
    }

    /// The pause that is due.
    pub(crate) fn due(&self) -> Option<Due> {
        self.state.lock().due.clone()
    }

    /// The store has answered about the pause that names this number, or is not asked any longer: all of this is over.
    pub(crate) fn settle(&self, resumes: u64) {
        let state = &mut *self.state.lock();
        if state.due.as_ref().is_some_and(|due| due.resumes != resumes) {
            return;
        }
        state.due = None;
        state.window.reset();
        self.held.store(false, SeqCst);
    }

    /// The store says how often the queue was let go on. True: once more than was known, so that what crashed before counts no
    /// more.
    pub(crate) fn resumed(&self, resumes: u64) -> bool {
        let state = &mut *self.state.lock();
        let before = state.resumes.replace(resumes);
        let newly = before.is_some_and(|before| before != resumes);
        if newly {
            state.due = None;
            state.window.reset();
            self.held.store(false, SeqCst);
        }
        newly
    }
}

#[cfg(test)]
mod tests {
    use callboard_contracts::api::PauseCause;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn pause(count: u32) -> QueuePause {
        QueuePause {
            cause: PauseCause::JobCrashes,
            by: "node a".to_owned(),
            reason: Some(count.to_string()),
            crashes: None,
        }
    }

    #[test]
    fn too_many_crashes_make_one_pause() {
        let crashes = Crashes::default();
        assert!(!crashes.crashed(1, MINUTE, pause), "the store has not said what holds");
        assert!(!crashes.resumed(4), "the first word is no news");
        assert!(!crashes.crashed(2, MINUTE, pause) && !crashes.holds());
        assert!(crashes.crashed(2, MINUTE, pause) && crashes.holds());
        // What ran on crashes as well.
        assert!(!crashes.crashed(2, MINUTE, pause) && !crashes.exhausted(|| pause(0)));
        let due = crashes.due().unwrap();
        assert_eq!((due.resumes, due.pause), (4, pause(2)));
        crashes.settle(5);
        assert!(crashes.holds(), "the answer is about an earlier one");
        crashes.settle(4);
        assert!(!crashes.holds() && crashes.due().is_none());
        assert!(!crashes.crashed(2, MINUTE, pause), "the count begins anew");
    }

    #[test]
    fn whoever_lets_the_queue_go_on_has_the_crashes_before_forgotten() {
        let crashes = Crashes::default();
        crashes.resumed(0);
        assert!(!crashes.crashed(2, MINUTE, pause));
        assert!(crashes.resumed(1));
        assert!(!crashes.crashed(2, MINUTE, pause));
        assert!(crashes.crashed(2, MINUTE, pause));
        assert!(!crashes.resumed(1) && crashes.holds(), "the same word again");
        assert!(crashes.resumed(2) && !crashes.holds() && crashes.due().is_none());
        assert!(crashes.exhausted(|| pause(9)));
        assert_eq!(crashes.due().unwrap().resumes, 2);
    }
}
