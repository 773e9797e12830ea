//! [`KillWatch`]: looks whether children that somebody killed do end.

use std::{collections::BTreeMap, future::Future, pin::Pin, task::Context as Task};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::supervisor::strategy::{KILL_GRACE, Key};

/// At most one entry for each child.
#[derive(Default)]
pub(super) struct KillWatch {
    due: BTreeMap<Key, (u64, Instant)>,
    /// Goes off at the earliest of them, or at one that was forgotten since.
    timer: Option<Pin<Box<Sleep>>>,
}

impl KillWatch {
    pub(super) fn watch(&mut self, child: Key, generation: u64) {
        let at = Instant::now() + KILL_GRACE;
        match self.due.get(&child) {
            // The first kill of a generation counts.
            Some((watched, _)) if *watched == generation => {}
            _ => drop(self.due.insert(child, (generation, at))),
        }
        self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
    }

    /// It has ended.
    pub(super) fn forget(&mut self, child: Key) {
        self.due.remove(&child);
    }

    /// Those that have not ended in time.
    pub(super) fn overdue(&mut self, task: &mut Task<'_>) -> Vec<(Key, u64)> {
        let mut overdue = Vec::new();
        while let Some(timer) = self.timer.as_mut()
            && timer.as_mut().poll(task).is_ready()
        {
            let now = Instant::now();
            overdue.extend(self.due.extract_if(.., |_, (_, at)| *at <= now).map(|(key, (n, _))| (key, n)));
            let next = self.due.values().map(|(_, at)| *at).min();
            self.timer = next.map(|at| Box::pin(sleep_until(at)));
        }
        overdue
    }
}
