//! [`State`]: what a journal holds.
//!
//! Lines are numbered as they are said, and those that are dropped leave a gap in the numbers, by which readers see how many
//! they were. The first half of what is kept is the beginning of the log, where it says what it is about; the other half is
//! the newest, where it says how it ended. So the newest line is always there, and no gap stands at the end.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use callboard_contracts::{Timestamp, api::LogLevel};

use super::{Budget, Fraction, JournalArgs, LogLimits, kept::Kept};
use crate::edges::store::{
    record::Lease,
    report::{Report, ReportedLine, ReportedProgress, ReportedState},
};

/// How often an attempt is written, at most.
const EVERY: Duration = Duration::from_secs(1);
/// And if half of the newest lines that can be kept have come since.
const HURRIED: Duration = Duration::from_millis(250);
/// What a line costs besides its text.
const LINE: usize = 64;

/// What became of a line.
pub(super) struct Said {
    /// The journal holds something, and is not in the inbox.
    pub(super) unlisted: bool,
    /// Lines that gave way to it, or it itself.
    pub(super) dropped: u64,
}

/// What a journal holds.
pub(super) struct State {
    lease: Lease,
    started_at: Timestamp,
    limits: LogLimits,
    budget: Budget,
    /// Lines that were said.
    numbered: u64,
    /// What the beginning has, written or not: its lines, their bytes, and whether there is room for more.
    head_lines: usize,
    head_bytes: usize,
    head_is_open: bool,
    /// Of the beginning, not written.
    head: Vec<ReportedLine>,
    /// Of the newest, not written.
    tail: VecDeque<ReportedLine>,
    tail_bytes: usize,
    kept: Kept,
    progress: Option<ReportedProgress>,
    /// What the run shows of itself, if that is not handed out, and what it showed last.
    published: Option<ReportedState>,
    last_published: Option<(Timestamp, String)>,
    /// Signals that it has taken, not handed out.
    taken: Vec<u32>,
    /// No two words on the progress have the same time.
    last_progress: Timestamp,
    /// Handed out to be written; not known to be.
    sent: Option<Report>,
    sent_before: bool,
    last_write: Option<Instant>,
    /// When progress was last handed out: each is an event, so those are never hurried.
    last_told: Option<Instant>,
    /// Of the budget.
    held: usize,
    /// It is in the inbox, or in the hands of whoever took it out.
    listed: bool,
    closed: bool,
}

impl State {
    pub(super) fn new(args: &JournalArgs) -> Self {
        State {
            lease: args.lease,
            started_at: args.started_at,
            limits: args.limits,
            budget: args.budget.clone(),
            numbered: 0,
            head_lines: 0,
            head_bytes: 0,
            head_is_open: true,
            head: Vec::new(),
            tail: VecDeque::new(),
            tail_bytes: 0,
            kept: Kept::default(),
            progress: None,
            published: None,
            last_published: None,
            taken: Vec::new(),
            last_progress: Timestamp::MIN,
            sent: None,
            sent_before: false,
            last_write: None,
            last_told: None,
            held: 0,
            listed: false,
            closed: false,
        }
    }

    /// Whether the journal is to be put into the inbox.
    pub(super) fn progress(&mut self, fraction: Fraction, message: Option<String>, now: Timestamp) -> bool {
        if self.closed {
            return false;
        }
        let at = now.max(self.last_progress.saturating_add(Duration::from_micros(1)));
        self.last_progress = at;
        self.progress = Some(ReportedProgress { fraction: fraction.value(), message, at });
        !std::mem::replace(&mut self.listed, true)
    }

    /// Whether the journal is to be put into the inbox.
    pub(super) fn published(&mut self, value: String, now: Timestamp) -> bool {
        let known = self.last_published.as_ref();
        if self.closed || known.is_some_and(|(_, last)| *last == value) {
            return false;
        }
        let at = known.map_or(now, |(last, _)| now.max(last.saturating_add(Duration::from_micros(1))));
        self.last_published = Some((at, value.clone()));
        self.published = Some(ReportedState { value, at });
        !std::mem::replace(&mut self.listed, true)
    }

    /// Whether the journal is to be put into the inbox.
    pub(super) fn taken(&mut self, signal: u32) -> bool {
        if self.closed {
            return false;
        }
        self.taken.push(signal);
        !std::mem::replace(&mut self.listed, true)
    }

    pub(super) fn line(&mut self, at: Timestamp, level: LogLevel, text: String) -> Said {
        if self.closed || self.limits.lines == 0 {
            return Said { unlisted: false, dropped: 1 };
        }
        self.numbered += 1;
        let length = text.len();
        let line = ReportedLine { number: self.numbered, at, level, text };
        let lacks = self.budget.lacks(length + LINE);
        let (head_lines, head_bytes) = self.limits.head();
        self.head_is_open &= !lacks && self.head_lines < head_lines && self.head_bytes + length <= head_bytes;
        self.hold(length + LINE);
        let mut dropped = 0;
        if self.head_is_open {
            self.head_lines += 1;
            self.head_bytes += length;
            self.head.push(line);
        } else {
            let (most, bytes) = if lacks { (1, length) } else { self.limits.tail() };
            while !self.tail.is_empty() && (self.tail.len() >= most || self.tail_bytes + length > bytes) {
                dropped += u64::from(self.drop_oldest());
            }
            self.tail_bytes += length;
            self.tail.push_back(line);
        }
        Said { unlisted: !std::mem::replace(&mut self.listed, true), dropped }
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(line) = self.tail.pop_front() else { return false };
        self.tail_bytes -= line.text.len();
        self.free(line.text.len() + LINE);
        true
    }

    fn hold(&mut self, bytes: usize) {
        self.budget.hold(bytes);
        self.held += bytes;
    }

    fn free(&mut self, bytes: usize) {
        self.budget.free(bytes);
        self.held -= bytes;
    }

    fn is_empty(&self) -> bool {
        self.sent.is_none() && !self.has_news()
    }

    fn has_news(&self) -> bool {
        self.progress.is_some()
            || self.published.is_some()
            || !self.taken.is_empty()
            || !self.head.is_empty()
            || !self.tail.is_empty()
    }

    /// When it is to be written. `None`: there is nothing; the inbox lets go of it then, under its lock.
    pub(super) fn due_at(&mut self, now: Instant) -> Option<Instant> {
        if self.closed || self.is_empty() {
            self.listed = false;
            return None;
        }
        let (lines, bytes) = self.limits.tail();
        let many = self.tail.len() * 2 > lines || self.tail_bytes * 2 > bytes;
        let pause = if many { HURRIED } else { EVERY };
        Some(self.last_write.map_or(now, |last| last + pause))
    }

    /// What is to be written, and how many lines are not kept with it.
    pub(super) fn take(&mut self, now: Instant) -> (Option<Report>, u64) {
        if self.closed {
            return (None, 0);
        }
        self.last_write = Some(now);
        let mut dropped = 0;
        if self.sent.is_none() {
            let told = self.last_told.is_none_or(|last| now.saturating_duration_since(last) >= EVERY);
            let held_back = self.progress.take_if(|_| !told);
            (self.sent, dropped) = self.news();
            if self.sent.as_ref().is_some_and(|sent| sent.progress.is_some()) {
                self.last_told = Some(now);
            }
            self.progress = held_back;
        }
        (self.sent.clone(), dropped)
    }

    /// What was said and is not handed out, and how many lines that are in the store give way to it.
    fn news(&mut self) -> (Option<Report>, u64) {
        if !self.has_news() {
            return (None, 0);
        }
        for line in &self.tail {
            self.kept.add(line.number, line.text.len());
        }
        let gone = self.kept.shrink(self.limits.tail());
        let mut lines = std::mem::take(&mut self.head);
        lines.extend(self.tail.drain(..));
        self.tail_bytes = 0;
        let report = Report {
            lease: self.lease,
            started_at: Some(self.started_at),
            first: !std::mem::replace(&mut self.sent_before, true),
            progress: self.progress.take(),
            published: self.published.take(),
            taken: std::mem::take(&mut self.taken),
            lines,
            // Lines of the beginning are numbered without gaps.
            forget: gone.map(|(_, last)| (self.head_lines as u64 + 1, last)),
        };
        (Some(report), gone.map_or(0, |(count, _)| count))
    }

    /// What was handed out is done with; how many lines it had.
    pub(super) fn take_sent(&mut self) -> u64 {
        let Some(sent) = self.sent.take() else { return 0 };
        let bytes = sent.lines.iter().map(|line| line.text.len() + LINE).sum();
        self.free(bytes);
        sent.lines.len() as u64
    }

    pub(super) fn close(&mut self) -> (Option<Report>, u64) {
        if std::mem::replace(&mut self.closed, true) {
            return (None, 0);
        }
        let (news, dropped) = self.news();
        let sent = self.sent.take();
        self.free(self.held);
        let report = match (sent, news) {
            (Some(sent), Some(news)) => Some(merge(sent, news)),
            (sent, news) => sent.or(news),
        };
        (report, dropped)
    }
}

/// Two reports of which one follows the other, as one.
fn merge(mut first: Report, then: Report) -> Report {
    first.lines.extend(then.lines);
    first.progress = then.progress.or(first.progress);
    first.published = then.published.or(first.published);
    first.taken.extend(then.taken);
    first.forget = then.forget.or(first.forget);
    if let Some((from, to)) = first.forget {
        first.lines.retain(|line| !(from..=to).contains(&line.number));
    }
    first
}

impl Drop for State {
    fn drop(&mut self) {
        self.budget.free(self.held);
    }
}
