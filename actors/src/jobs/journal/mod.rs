//! What a running job says of itself: how far it is, and the lines of its log.
//!
//! Saying it costs a lock and never waits. It is gathered here, bounded, until the reporter writes it, or goes with the end
//! of the attempt.

mod budget;
mod fraction;
mod inbox;
mod kept;
mod limits;
mod state;

use std::{
    sync::{Arc, OnceLock, Weak},
    time::Instant,
};

use callboard_contracts::{Timestamp, api::LogLevel};
use parking_lot::Mutex;
use prometheus::IntCounter;

pub(crate) use self::{budget::Budget, inbox::Inbox};
pub use self::{fraction::Fraction, limits::LogLimits};
use self::{limits::cut_line, state::State};
use crate::edges::store::{record::Lease, report::Report};

/// Bytes of a message on the progress that are kept.
const MAX_MESSAGE_BYTES: usize = 1024;

/// Gives the counters of a queue and a type.
type Counters = dyn Fn(&str, &str) -> (IntCounter, IntCounter) + Send + Sync;

/// What a journal is made from.
pub(crate) struct JournalArgs {
    pub(crate) lease: Lease,
    pub(crate) started_at: Timestamp,
    /// For those who count.
    pub(crate) queue: String,
    pub(crate) job_type: String,
    pub(crate) limits: LogLimits,
    /// Where it is put when it holds something. It does not keep the inbox, which keeps it.
    pub(crate) inbox: Weak<Inbox>,
    /// That of the inbox.
    pub(crate) budget: Budget,
    /// The store's clock.
    pub(crate) clock: Box<dyn Fn() -> Timestamp + Send + Sync>,
    /// What counts the lines that were said, and those of them that are not kept. Asked for once there is one: most runs say
    /// nothing.
    pub(crate) counters: Box<Counters>,
}

/// What one attempt says of itself and is not known to be written.
pub(crate) struct Journal {
    args: JournalArgs,
    state: Mutex<State>,
    counters: OnceLock<(IntCounter, IntCounter)>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Journal")
    }
}

impl Journal {
    pub(crate) fn new(args: JournalArgs) -> Arc<Self> {
        let state = State::new(&args);
        Arc::new(Journal { args, state: Mutex::new(state), counters: OnceLock::new() })
    }

    /// It holds something, and was not in the inbox.
    fn list(self: &Arc<Self>) {
        // Without one there is nobody any more who would write it.
        if let Some(inbox) = self.args.inbox.upgrade() {
            inbox.add(self);
        }
    }

    /// Lines that were said, and those of them that are not kept.
    fn counters(&self) -> &(IntCounter, IntCounter) {
        self.counters.get_or_init(|| (self.args.counters)(&self.args.queue, &self.args.job_type))
    }

    fn dropped(&self, lines: u64) {
        if lines > 0 {
            self.counters().1.inc_by(lines);
        }
    }

    /// Its queue and its type.
    pub(crate) fn labels(&self) -> (&str, &str) {
        (&self.args.queue, &self.args.job_type)
    }

    pub(crate) fn lease(&self) -> Lease {
        self.args.lease
    }

    /// The run is so far; the newest word counts.
    pub(crate) fn progress(self: &Arc<Self>, fraction: Fraction, message: Option<String>) {
        let message =
            message.map(|message| cut_line(&message, message.len() as u64, MAX_MESSAGE_BYTES).into_owned());
        let now = (self.args.clock)();
        if self.state.lock().progress(fraction, message, now) {
            self.list();
        }
    }

    /// The run shows this of itself, JSON text; the newest counts.
    pub(crate) fn publish(self: &Arc<Self>, value: String) {
        let now = (self.args.clock)();
        if self.state.lock().published(value, now) {
            self.list();
        }
    }

    /// The run has taken the signal of this number.
    pub(crate) fn taken(self: &Arc<Self>, signal: u32) {
        if self.state.lock().taken(signal) {
            self.list();
        }
    }

    /// Adds lines to the log.
    pub(crate) fn log(self: &Arc<Self>, level: LogLevel, text: &str) {
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).peekable();
        while let Some(line) = lines.next() {
            // The end of the last line begins no other one.
            if line.is_empty() && lines.peek().is_none() && !text.is_empty() && text.ends_with('\n') {
                return;
            }
            self.log_line(level, line, line.len() as u64);
        }
    }

    /// Adds one line to the log, of which this is the beginning if it has more `bytes`.
    pub(crate) fn log_line(self: &Arc<Self>, level: LogLevel, line: &str, bytes: u64) {
        self.counters().0.inc();
        let line = cut_line(line, bytes, self.args.limits.line_bytes()).into_owned();
        let now = (self.args.clock)();
        let said = self.state.lock().line(now, level, line);
        self.dropped(said.dropped);
        if said.unlisted {
            self.list();
        }
    }

    /// When it should be written; `None`: there is nothing to write, and the inbox lets go of it.
    fn due_at(&self, now: Instant) -> Option<Instant> {
        self.state.lock().due_at(now)
    }

    /// What is to be written now: what was before and is not known to be, else what was said since.
    pub(crate) fn take(&self, now: Instant) -> Option<Report> {
        let (report, dropped) = self.state.lock().take(now);
        self.dropped(dropped);
        report
    }

    /// What was [taken](Self::take) is written.
    pub(crate) fn written(&self) {
        self.state.lock().take_sent();
    }

    /// What was [taken](Self::take) cannot be written.
    pub(crate) fn refused(&self) {
        let dropped = self.state.lock().take_sent();
        self.dropped(dropped);
    }

    /// What it gave at its [end](Self::close) is not kept.
    pub(crate) fn lost(&self, report: &Report) {
        self.dropped(report.lines.len() as u64);
    }

    /// The attempt has ended: what is not known to be written goes with its end, and nothing more is taken.
    pub(crate) fn close(&self) -> Option<Report> {
        let (report, dropped) = self.state.lock().close();
        self.dropped(dropped);
        report
    }
}

#[cfg(test)]
mod tests;
