//! What has happened to attempts and is not written yet.
//!
//! It is kept outside of the completer, so that a crash of the completer loses none of it. It is bounded by those who
//! fill it: each attempt adds a beginning and an end, and producers start none while it [is full](Outcomes::is_full).

use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use parking_lot::Mutex as SyncMutex;
use tokio::sync::{Mutex, Notify};

use super::{queue::attempt::Attempt, reporter};
use crate::edges::store::{Operation, record::AttemptEnd, report::Report};

/// Entries at which producers start no more attempts.
const FULL: usize = 20_000;
/// Bytes of results and errors at which they start no more either.
const FULL_BYTES: usize = 64 * 1024 * 1024;
/// What one write holds at most.
const BATCH: usize = 2_000;
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Something that has happened to an attempt.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// Its run has begun.
    Started(Arc<Attempt>),
    /// It has ended.
    Finished {
        attempt: Arc<Attempt>,
        end: AttemptEnd,
        /// What the run has said that is not known to be written.
        report: Option<Box<Report>>,
        /// The store has refused this very end before.
        refused: bool,
    },
}

impl Outcome {
    pub(crate) fn attempt(&self) -> &Arc<Attempt> {
        match self {
            Outcome::Started(attempt) | Outcome::Finished { attempt, .. } => attempt,
        }
    }

    pub(crate) fn operation(&self) -> Operation {
        match self {
            Outcome::Started(attempt) => Operation::Start {
                lease: attempt.lease(),
                // Nobody reports the beginning of a run that has not begun.
                started_at: attempt.started_at().unwrap_or(attempt.job.claimed_at),
            },
            Outcome::Finished { attempt, end, .. } => Operation::Finish {
                lease: attempt.lease(),
                started_at: attempt.started_at(),
                end: end.clone(),
            },
        }
    }

    /// What is to be written before it.
    pub(crate) fn report(&self) -> Option<Operation> {
        match self {
            Outcome::Finished { report: Some(report), .. } => Some(Operation::Report(report.clone())),
            _ => None,
        }
    }

    fn bytes(&self) -> usize {
        let said = match self {
            Outcome::Finished { report: Some(report), .. } => reporter::size(report),
            _ => 0,
        };
        said + match self {
            Outcome::Finished { end: AttemptEnd::Completed { result: Some(result) }, .. } => result.len(),
            Outcome::Finished {
                end: AttemptEnd::Failed { error, .. } | AttemptEnd::Cancelled { error },
                ..
            } => error.message.len() + error.backtrace.as_ref().map_or(0, String::len),
            _ => 0,
        }
    }
}

/// What has happened to attempts and is not written yet: in parts, which are written side by side. All that happens to a job is
/// in one of them, in its order.
pub(crate) struct Outcomes {
    parts: Vec<Part>,
    entries: AtomicUsize,
    bytes: AtomicUsize,
    /// Told when all of it is written.
    pub(crate) emptied: Notify,
}

/// A part of the [`Outcomes`].
#[derive(Default)]
pub(crate) struct Part {
    state: SyncMutex<State>,
    /// Told when something was added to nothing.
    pub(crate) added: Notify,
    /// Held by whoever writes.
    pub(crate) writing: Mutex<()>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Outcome>,
    /// Sent to the store; not known to be written.
    sent: Vec<Outcome>,
}

impl Part {
    /// Whether nothing is to be written, nor may have to be written again.
    pub(crate) fn is_empty(&self) -> bool {
        let state = self.state.lock();
        state.waiting.is_empty() && state.sent.is_empty()
    }
}

impl Outcomes {
    /// In so many parts, at least one.
    pub(crate) fn new(parts: usize) -> Self {
        Outcomes {
            parts: (0..parts.max(1)).map(|_| Part::default()).collect(),
            entries: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            emptied: Notify::new(),
        }
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The run of this attempt has begun.
    pub(crate) fn started(&self, attempt: &Arc<Attempt>) {
        self.add(Outcome::Started(attempt.clone()));
    }

    /// This attempt has ended.
    pub(crate) fn finished(&self, attempt: &Arc<Attempt>, end: AttemptEnd, report: Option<Box<Report>>) {
        self.add(Outcome::Finished { attempt: attempt.clone(), end, report, refused: false });
    }

    /// Adds it after the others.
    pub(crate) fn add(&self, outcome: Outcome) {
        let (_, low) = outcome.attempt().job.id.as_u64_pair();
        // The remainder is below the number of parts, of which there is one.
        let part = &self.parts[usize::try_from(low % self.parts.len() as u64).unwrap_or(0)];
        let mut state = part.state.lock();
        self.entries.fetch_add(1, SeqCst);
        self.bytes.fetch_add(outcome.bytes(), SeqCst);
        state.waiting.push_back(outcome);
        let first = state.waiting.len() == 1;
        drop(state);
        if first {
            part.added.notify_one();
        }
    }

    /// Whether so much waits that no more attempts should be started.
    pub(crate) fn is_full(&self) -> bool {
        self.entries.load(SeqCst) >= FULL || self.bytes.load(SeqCst) >= FULL_BYTES
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.load(SeqCst) == 0
    }

    /// How many attempts' ends are not known to be written.
    pub(crate) fn unwritten_ends(&self) -> u64 {
        let count = |part: &Part| {
            let state = part.state.lock();
            let all = state.waiting.iter().chain(&state.sent);
            all.filter(|outcome| matches!(outcome, Outcome::Finished { .. })).count() as u64
        };
        self.parts.iter().map(count).sum()
    }

    /// The tokens of the attempts of which something is not known to be written.
    pub(crate) fn tokens(&self) -> Vec<u64> {
        let mut tokens = Vec::new();
        for part in &self.parts {
            let state = part.state.lock();
            tokens.extend(state.waiting.iter().chain(&state.sent).map(|outcome| outcome.attempt().job.token));
        }
        tokens
    }

    /// What is to be written next of a part: what was sent before and is not known to be written, else as much of what waits as
    /// fits. The beginning of an attempt whose end is there too is left out, as the end says it.
    pub(crate) fn next(&self, part: &Part) -> Vec<Outcome> {
        let mut state = part.state.lock();
        if state.sent.is_empty() {
            let mut bytes = 0;
            let mut batch = Vec::new();
            while let Some(outcome) = state.waiting.front() {
                bytes += outcome.bytes();
                if batch.len() == BATCH || (bytes > BATCH_BYTES && !batch.is_empty()) {
                    break;
                }
                batch.extend(state.waiting.pop_front());
            }
            let ended: HashSet<u64> = batch
                .iter()
                .filter(|outcome| matches!(outcome, Outcome::Finished { .. }))
                .map(|outcome| outcome.attempt().job.token)
                .collect();
            let before = batch.len();
            batch.retain(|outcome| match outcome {
                Outcome::Started(attempt) => !ended.contains(&attempt.job.token),
                Outcome::Finished { .. } => true,
            });
            self.entries.fetch_sub(before - batch.len(), SeqCst);
            state.sent = batch;
        }
        state.sent.clone()
    }

    /// What [`next`](Self::next) gave of a part is written.
    pub(crate) fn written(&self, part: &Part) {
        let sent = std::mem::take(&mut part.state.lock().sent);
        self.bytes.fetch_sub(sent.iter().map(Outcome::bytes).sum(), SeqCst);
        self.entries.fetch_sub(sent.len(), SeqCst);
        if self.is_empty() {
            self.emptied.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callboard_contracts::Timestamp;
    use uuid::Uuid;

    use super::*;
    use crate::edges::store::record::ClaimedJob;

    fn attempt(token: u64) -> Arc<Attempt> {
        let job = ClaimedJob {
            id: Uuid::nil(),
            job_type: "noop".into(),
            queue: "default".into(),
            payload: "{}".into(),
            metadata: None,
            document: None,
            attempt: 1,
            max_attempts: 1,
            timeout: Duration::from_secs(1),
            token,
            correlation_id: Uuid::nil(),
            created_at: Timestamp::MIN,
            claimed_at: Timestamp::MIN,
            trace: None,
            partition_key: None,
        };
        let attempt = Attempt::new(job, Uuid::nil());
        attempt.begin(Timestamp::from_micros(1));
        Arc::new(attempt)
    }

    fn result(bytes: usize) -> AttemptEnd {
        AttemptEnd::Completed { result: Some("x".repeat(bytes)) }
    }

    #[test]
    fn a_beginning_whose_end_is_there_is_left_out() {
        let outcomes = Outcomes::new(1);
        let (both, begun) = (attempt(1), attempt(2));
        outcomes.started(&both);
        outcomes.started(&begun);
        outcomes.finished(&both, result(1), None);
        let operations: Vec<Operation> =
            outcomes.next(&outcomes.parts[0]).iter().map(Outcome::operation).collect();
        assert!(
            matches!(operations[..], [Operation::Start { lease, .. }, Operation::Finish { started_at: Some(_), .. }]
            if lease.token == 2)
        );
        outcomes.written(&outcomes.parts[0]);
        assert!(outcomes.is_empty());
        assert!(outcomes.next(&outcomes.parts[0]).is_empty());
    }

    #[test]
    fn what_was_not_written_is_sent_again_before_the_rest() {
        let outcomes = Outcomes::new(1);
        outcomes.finished(&attempt(1), result(1), None);
        let sent = outcomes.next(&outcomes.parts[0]);
        outcomes.finished(&attempt(2), result(1), None);
        let again = outcomes.next(&outcomes.parts[0]);
        assert_eq!((sent.len(), again.len()), (1, 1));
        assert_eq!(again[0].attempt().job.token, 1);
        assert_eq!(outcomes.unwritten_ends(), 2);
        outcomes.written(&outcomes.parts[0]);
        assert_eq!(outcomes.next(&outcomes.parts[0])[0].attempt().job.token, 2);
        outcomes.written(&outcomes.parts[0]);
        assert!(outcomes.is_empty() && outcomes.next(&outcomes.parts[0]).is_empty());
    }

    #[test]
    fn batches_and_the_whole_are_bounded_in_number_and_bytes() {
        let outcomes = Outcomes::new(1);
        for token in 0..5 {
            outcomes.finished(&attempt(token), result(BATCH_BYTES / 2), None);
        }
        assert_eq!(outcomes.next(&outcomes.parts[0]).len(), 2);
        outcomes.written(&outcomes.parts[0]);
        for token in 0..BATCH as u64 * 2 {
            outcomes.finished(&attempt(token), AttemptEnd::Released, None);
        }
        assert_eq!(outcomes.next(&outcomes.parts[0]).len(), 2);
        outcomes.written(&outcomes.parts[0]);
        assert_eq!(outcomes.next(&outcomes.parts[0]).len(), BATCH);
        assert!(!outcomes.is_full());
        for token in 0..(FULL_BYTES / BATCH_BYTES) as u64 {
            outcomes.finished(&attempt(token), result(BATCH_BYTES + 1), None);
        }
        assert!(outcomes.is_full());
        outcomes.written(&outcomes.parts[0]);
        assert_eq!(outcomes.next(&outcomes.parts[0]).len(), BATCH);
        outcomes.written(&outcomes.parts[0]);
        assert_eq!(outcomes.next(&outcomes.parts[0]).len(), 1);
        // One that is larger than a batch may be is a batch by itself.
        outcomes.written(&outcomes.parts[0]);
        assert_eq!(outcomes.next(&outcomes.parts[0]).len(), 1);
        assert!(matches!(&outcomes.next(&outcomes.parts[0])[0], outcome if outcome.bytes() > BATCH_BYTES));
    }

    #[test]
    fn what_happens_to_a_job_is_in_one_part_and_every_part_has_some() {
        let outcomes = Outcomes::new(3);
        let ids: Vec<Uuid> = (0..60).map(|_| Uuid::now_v7()).collect();
        for id in &ids {
            let mut attempt = attempt(1);
            Arc::get_mut(&mut attempt).expect("it is nobody else's").job.id = *id;
            outcomes.started(&attempt);
            outcomes.finished(&attempt, result(1), None);
        }
        let mut found = 0;
        for part in outcomes.parts() {
            // The beginnings were left out, so their ends are in the same part.
            let batch = outcomes.next(part);
            assert!(!batch.is_empty() && batch.iter().all(|one| matches!(one, Outcome::Finished { .. })));
            found += batch.len();
            assert!(!outcomes.is_empty());
            outcomes.written(part);
        }
        assert_eq!(found, ids.len());
        assert!(outcomes.is_empty());
    }
}
