//! What running attempts say of themselves.

use std::collections::BTreeMap;

use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{JobLogLine, JobLogPage, JobLogPosition, JobLogQuery, LogLevel},
};
use serde_json::json;
use uuid::Uuid;

use super::{Changes, Event, attempt};
use crate::edges::store::{
    Operation, OperationResult, Outcome,
    report::{Report, ReportedProgress},
};

/// Lines of one page, where nobody says how many, and at most.
const LINES: u32 = 100;
const MOST_LINES: u32 = 1000;

/// That an attempt has said something, and how far it is. One for each attempt of a transaction: a report, and what is said
/// with the end of the attempt, can meet in one.
pub(crate) struct Head<'r> {
    pub(crate) attempt: u32,
    pub(crate) first: bool,
    pub(crate) progress: Option<&'r ReportedProgress>,
}

/// What reports are to write.
#[derive(Default)]
pub(crate) struct Accepted<'r> {
    /// By job and token.
    pub(crate) heads: BTreeMap<(Uuid, u64), Head<'r>>,
    /// In the order in which they were sent.
    pub(crate) reports: Vec<&'r Report>,
}

/// Takes what is said under a lease that holds, of jobs that are loaded.
pub(crate) fn accept<'r>(
    changes: &mut Changes,
    group: &'r [Operation],
) -> (Accepted<'r>, Vec<OperationResult>) {
    let mut accepted = Accepted::default();
    let results = group
        .iter()
        .map(|operation| {
            let Operation::Report(report) = operation else { return Ok(Outcome::Done) };
            let Some(attempt) = attempt::heard(changes, report.lease, report.started_at) else {
                return Ok(Outcome::Stale);
            };
            let key = (report.lease.id, report.lease.token);
            let head = accepted.heads.entry(key).or_insert(Head { attempt, first: false, progress: None });
            head.first |= report.first;
            if let Some(progress) = &report.progress
                && head.progress.is_none_or(|known| known.at < progress.at)
            {
                head.progress = Some(progress);
            }
            accepted.reports.push(report);
            Ok(Outcome::Reported)
        })
        .collect();
    (accepted, results)
}

impl Accepted<'_> {
    /// Tells of the progress of these attempts, since it was news.
    pub(crate) fn tell(&self, changes: &mut Changes, news: &[(Uuid, u64)]) {
        for key in news {
            let progress = self.heads.get(key).and_then(|head| head.progress);
            if let (Some(progress), Some(row)) = (progress, changes.rows.get(&key.0)) {
                let event = Event::of(row, EventType::Progressed).progress(progress);
                changes.events.push(event);
            }
        }
    }
}

/// The progress as an event has it, JSON text.
pub(crate) fn as_json(progress: &ReportedProgress) -> String {
    let mut text = json!({ "fraction": progress.fraction });
    if let Some(message) = &progress.message {
        text["message"] = json!(message);
    }
    text.to_string()
}

/// A level as the number that stands in the database. It never changes.
pub(crate) fn level_code(level: LogLevel) -> i16 {
    match level {
        LogLevel::Debug => 0,
        LogLevel::Info => 1,
        LogLevel::Warn => 2,
        LogLevel::Error => 3,
        LogLevel::Stdout => 4,
        LogLevel::Stderr => 5,
    }
}

pub(crate) fn level_of(code: i64) -> LogLevel {
    let known = |level: &LogLevel| i64::from(level_code(*level)) == code;
    LogLevel::ALL.into_iter().find(known).unwrap_or(LogLevel::Info)
}

/// A line as it comes out of the database.
pub(crate) fn line(
    position: JobLogPosition,
    attempt: u32,
    at: Timestamp,
    level: i64,
    text: String,
) -> JobLogLine {
    JobLogLine { position, attempt, at, level: level_of(level), text, dropped_before: 0 }
}

/// How many lines a page has at most.
pub(crate) fn limit(query: &JobLogQuery) -> u32 {
    query.limit.unwrap_or(LINES).clamp(1, MOST_LINES)
}

/// The page of these lines, of which there is one more than asked for if there are more. `state` and `attempt` are the job's.
pub(crate) fn page(
    query: &JobLogQuery,
    mut lines: Vec<JobLogLine>,
    state: JobState,
    attempt: u32,
) -> JobLogPage {
    let most = limit(query) as usize;
    let more = lines.len() > most;
    lines.truncate(most);
    let mut last = query.after.unwrap_or_default();
    for line in &mut lines {
        let before = if last.token == line.position.token { last.number } else { 0 };
        line.dropped_before = line.position.number.saturating_sub(before + 1);
        last = line.position;
    }
    let over = |wanted: u32| wanted < attempt || (wanted == attempt && state != JobState::Executing);
    JobLogPage {
        next: lines.last().map(|line| line.position).or(query.after),
        lines,
        more,
        ended: state.is_final() || query.attempt.is_some_and(over),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(token: u64, number: u64) -> JobLogLine {
        line(JobLogPosition { token, number }, 1, Timestamp::MIN, 1, String::new())
    }

    #[test]
    fn what_is_missing_between_lines_is_counted_within_each_run() {
        let lines = vec![at(3, 2), at(3, 3), at(3, 10), at(5, 1), at(8, 4)];
        let dropped = |after, lines| {
            let query = JobLogQuery { after, ..JobLogQuery::default() };
            let page = page(&query, lines, JobState::Executing, 1);
            page.lines.iter().map(|line| line.dropped_before).collect::<Vec<_>>()
        };
        assert_eq!(dropped(None, lines.clone()), [1, 0, 6, 0, 3]);
        let after = |token, number| Some(JobLogPosition { token, number });
        assert_eq!(dropped(after(3, 1), lines.clone()), [0, 0, 6, 0, 3]);
        assert_eq!(dropped(after(2, 9), lines), [1, 0, 6, 0, 3]);
    }

    #[test]
    fn a_page_says_whether_there_is_more_and_whether_more_can_come() {
        let query = |attempt| JobLogQuery { attempt, limit: Some(1), ..JobLogQuery::default() };
        let ended = |wanted, state, attempt| page(&query(wanted), vec![], state, attempt).ended;
        assert!(!ended(None, JobState::Executing, 2));
        assert!(ended(Some(1), JobState::Executing, 2));
        assert!(!ended(Some(2), JobState::Executing, 2));
        assert!(ended(Some(2), JobState::Retryable, 2));
        assert!(!ended(Some(3), JobState::Retryable, 2));
        assert!(ended(Some(3), JobState::Completed, 2));
        let found = page(&query(None), vec![at(1, 1), at(1, 2)], JobState::Executing, 1);
        assert!(found.more);
        assert_eq!(found.next, Some(JobLogPosition { token: 1, number: 1 }));
    }
}
