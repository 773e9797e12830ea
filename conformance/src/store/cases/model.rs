//! Random operations, against a model of what a store does.
//!
//! The model says beforehand what each operation will answer, and knows of each job all that a reader can see. Where an
//! operation may choose (which of several jobs a bounded step takes), it looks at what was chosen and whether that was
//! allowed.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use callboard_actors::edges::store::{
    Operation, Outcome, Renewal,
    outside::{OUTSIDE, OutsideWord, ReceivedEvent, RetryPlan, Said},
    record::{AttemptEnd, JobFilter, JobRecord, Lease, NewJob, NewSession, QueueSettings, Retention},
};
use callboard_actors::jobs::RetryPolicy;
use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{AttemptError, AttemptOutcome, LogCursor, QueueLimits},
};
use proptest::{prelude::*, test_runner::TestRunner};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::{Stage, run},
    words::{
        DAY, SECOND, cancelled, claim, completed, enqueue, error, failed, finish, job, lost, release, session,
    },
};

const QUEUES: [&str; 2] = ["default", "other"];
const KEYS: [Option<&str>; 4] = [None, Some("a"), Some("b"), Some("c")];
const TYPES: [&str; 2] = ["noop", "mail"];
/// The queue that workers outside serve, and for how long a word keeps an attempt alive.
const SERVED: &str = QUEUES[1];
const ALIVE: Duration = Duration::from_secs(2);
/// Jobs of a limited queue that may wait.
const LIMIT: u64 = 4;

/// What is done next. Numbers choose among what there is at that time.
#[derive(Clone, Debug)]
enum Step {
    Enqueue {
        queue: usize,
        job_type: usize,
        held: bool,
        attempts: u32,
        limited: bool,
        soon: u32,
        priority: i16,
        key: usize,
    },
    EnqueueAgain {
        which: usize,
        other: bool,
    },
    Limit {
        queue: usize,
        running: Option<u32>,
        per_key: Option<u32>,
    },
    Claim {
        queue: usize,
        limit: u32,
        session: usize,
        most: Option<u32>,
    },
    HandOver {
        which: usize,
        seconds: u32,
    },
    Hear {
        which: usize,
        said: u8,
        token: bool,
    },
    HearAgain {
        which: usize,
    },
    Lapse {
        limit: u32,
    },
    Start {
        which: usize,
    },
    Finish {
        which: usize,
        end: u8,
        started: bool,
    },
    Stale {
        which: usize,
        end: u8,
    },
    Guess {
        which: usize,
    },
    Cancel {
        which: usize,
    },
    Retry {
        which: usize,
        limited: bool,
    },
    RetryAgain {
        which: usize,
    },
    Promote {
        limit: u32,
    },
    Release {
        job_type: usize,
        limit: u32,
    },
    OpenSession {
        again: Option<usize>,
    },
    RenewSession {
        which: usize,
    },
    Rescue {
        which: usize,
        limit: u32,
        idle: bool,
    },
    Unknown {
        what: u8,
    },
    Prune {
        age: u64,
        events: u64,
        batch: u32,
    },
    Pass {
        seconds: u64,
    },
    Send {
        again: bool,
    },
    Reopen,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<usize>;
    let flag = any::<bool>;
    prop_oneof![
        8 => (
            (0..2_usize, 0..2_usize, 1..4_u32, -1..2_i16, 0..4_usize),
            (prop::bool::weighted(0.2), prop::bool::weighted(0.3), prop_oneof![3 => Just(0), 1 => 1..4_u32])
        ).prop_map(|((queue, job_type, attempts, priority, key), (held, limited, soon))| {
            Step::Enqueue { queue, job_type, held, attempts, limited, soon, priority, key }
        }),
        1 => (which(), flag()).prop_map(|(which, other)| Step::EnqueueAgain { which, other }),
        1 => (0..2_usize, prop::option::of(1..5_u32), prop::option::of(1..3_u32))
            .prop_map(|(queue, running, per_key)| Step::Limit { queue, running, per_key }),
        6 => (0..2_usize, 0..4_u32, which(), prop::option::weighted(0.2, 0..4_u32))
            .prop_map(|(queue, limit, session, most)| Step::Claim { queue, limit, session, most }),
        3 => (which(), 0..4_u32).prop_map(|(which, seconds)| Step::HandOver { which, seconds }),
        4 => (which(), 0..5_u8, prop::bool::weighted(0.7))
            .prop_map(|(which, said, token)| Step::Hear { which, said, token }),
        1 => which().prop_map(|which| Step::HearAgain { which }),
        2 => (1..4_u32).prop_map(|limit| Step::Lapse { limit }),
        4 => which().prop_map(|which| Step::Start { which }),
        8 => (which(), 0..9_u8, flag()).prop_map(|(which, end, started)| Step::Finish { which, end, started }),
        2 => (which(), 0..9_u8).prop_map(|(which, end)| Step::Stale { which, end }),
        1 => which().prop_map(|which| Step::Guess { which }),
        2 => which().prop_map(|which| Step::Cancel { which }),
        3 => (which(), flag()).prop_map(|(which, limited)| Step::Retry { which, limited }),
        1 => which().prop_map(|which| Step::RetryAgain { which }),
        2 => (0..3_u32).prop_map(|limit| Step::Promote { limit }),
        2 => (0..2_usize, 0..3_u32).prop_map(|(job_type, limit)| Step::Release { job_type, limit }),
        1 => prop::option::of(which()).prop_map(|again| Step::OpenSession { again }),
        1 => which().prop_map(|which| Step::RenewSession { which }),
        3 => (which(), 0..3_u32, flag()).prop_map(|(which, limit, idle)| Step::Rescue { which, limit, idle }),
        1 => (0..4_u8).prop_map(|what| Step::Unknown { what }),
        1 => (0..20_u64, 0..40_u64, 1..6_u32).prop_map(|(age, events, batch)| Step::Prune { age, events, batch }),
        3 => (0..4_u64).prop_map(|seconds| Step::Pass { seconds }),
        6 => flag().prop_map(|again| Step::Send { again }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Kill),
    ]
}

/// A job as the model has it.
#[derive(Clone, Debug)]
struct Known {
    new: NewJob,
    state: JobState,
    attempt: u32,
    /// The token of the last claim, until nothing said under it counts any more.
    token: Option<u64>,
    session: Option<Uuid>,
    /// When it lapses, if it is with a worker outside.
    lapses_at: Option<Timestamp>,
    created_at: Timestamp,
    due: Timestamp,
    started: bool,
    was_claimed: bool,
    was_started: bool,
    cancel_requested: bool,
    deaths: u32,
    failed: bool,
    result: bool,
    finished_at: Option<Timestamp>,
    replay_of: Option<Uuid>,
    attempts: Vec<(u32, AttemptOutcome)>,
    way: Vec<EventType>,
}

impl Known {
    fn enter(&mut self, state: JobState, now: Timestamp) {
        let before = std::mem::replace(&mut self.state, state);
        if state.is_final() {
            self.finished_at = Some(now);
        }
        if state == JobState::Available {
            let waited = matches!(before, JobState::Scheduled | JobState::Retryable);
            self.due = if waited { self.due.min(now) } else { now };
            self.new.held = None;
        }
        self.session = None;
    }

    fn start(&mut self) {
        if !self.started {
            self.started = true;
            self.way.push(if self.was_started { EventType::AttemptStarted } else { EventType::Executed });
            self.was_started = true;
        }
    }

    fn finish(&mut self, end: &AttemptEnd, now: Timestamp) {
        match end {
            AttemptEnd::Completed { .. } => {
                self.result = true;
                self.attempts.push((self.attempt, AttemptOutcome::Completed));
                self.enter(JobState::Completed, now);
                self.way.push(EventType::Completed);
            }
            AttemptEnd::Failed { retry_at, .. } => self.fail(*retry_at, now),
            AttemptEnd::Cancelled { .. } => {
                self.failed = true;
                self.attempts.push((self.attempt, AttemptOutcome::Cancelled));
                self.enter(JobState::Cancelled, now);
                self.way.push(EventType::Failed);
            }
            AttemptEnd::Released => {
                self.attempts.push((self.attempt, AttemptOutcome::Released));
                let due = self.due;
                self.enter(JobState::Available, now);
                self.due = due;
                self.attempt -= 1;
                self.started = false;
                self.way.push(EventType::Released);
            }
            AttemptEnd::Snoozed { .. } if self.cancel_requested => {
                self.attempts.push((self.attempt, AttemptOutcome::Cancelled));
                self.enter(JobState::Cancelled, now);
                self.way.push(EventType::Failed);
            }
            AttemptEnd::Snoozed { until } => {
                self.enter(JobState::Scheduled, now);
                self.due = *until;
                self.attempt -= 1;
                self.started = false;
                self.way.push(EventType::Snoozed);
            }
        }
    }

    fn fail(&mut self, retry_at: Option<Timestamp>, now: Timestamp) {
        self.failed = true;
        self.attempts.push((self.attempt, AttemptOutcome::Failed));
        let (state, event) = match retry_at {
            None => (JobState::Discarded, EventType::Failed),
            Some(_) if self.cancel_requested => (JobState::Cancelled, EventType::Failed),
            Some(_) => (JobState::Retryable, EventType::AttemptFailed),
        };
        self.enter(state, now);
        self.way.push(event);
        if let (JobState::Retryable, Some(at)) = (state, retry_at) {
            self.due = at;
        }
    }

    /// The attempt of a dead session; the node has died unless `quarantine_after` is 0.
    fn lose(&mut self, now: Timestamp, quarantine_after: u32) {
        let again = self.attempt < self.new.max_attempts;
        let died = quarantine_after > 0 && self.started;
        self.deaths += u32::from(died);
        self.fail(again.then_some(now), now);
        if self.state == JobState::Retryable {
            if died && self.deaths >= quarantine_after {
                self.enter(JobState::Pending, now);
                self.way.push(EventType::Quarantined);
                let deaths = self.deaths;
                self.new.held = Some(format!("quarantined: {deaths} of its runs died with their nodes"));
            } else {
                self.enter(JobState::Available, now);
            }
        }
        self.token = None;
    }

    fn cancel_outside(&mut self, now: Timestamp) {
        self.failed = true;
        self.attempts.push((self.attempt, AttemptOutcome::Cancelled));
        self.enter(JobState::Cancelled, now);
        self.way.push(EventType::Failed);
    }

    fn is_quarantined(&self) -> bool {
        self.state == JobState::Pending && self.deaths > 0
    }

    fn make_available(&mut self, now: Timestamp) {
        self.enter(JobState::Available, now);
        self.way.push(EventType::MadeAvailable);
    }
}

#[derive(Clone, Debug)]
struct KnownSession {
    new: NewSession,
    seen_at: Timestamp,
    open: bool,
}

#[derive(Default)]
struct Model {
    jobs: BTreeMap<Uuid, Known>,
    /// In the order of their storing.
    order: Vec<Uuid>,
    /// The ways of jobs that were deleted.
    gone: BTreeMap<Uuid, Vec<EventType>>,
    sessions: Vec<KnownSession>,
    replays: Vec<Operation>,
    /// What was heard from outside, and the events that were dealt with.
    words: Vec<OutsideWord>,
    inbox: BTreeSet<Uuid>,
    old: Vec<Lease>,
    newest_token: u64,
    /// By queue: the most that may be with a node, the same of a key, and the key that was served last.
    turns: BTreeMap<String, (Option<u32>, Option<u32>, String)>,
    /// By queue, whatever was deleted.
    ended: BTreeMap<(String, JobState), u64>,
    /// What is to be sent in the next batch, and what will be answered.
    batch: Vec<(Operation, Outcome)>,
}

impl Model {
    fn pick(&self, which: usize, fits: impl Fn(&Known) -> bool) -> Option<Uuid> {
        let fitting: Vec<Uuid> = self.order.iter().copied().filter(|id| fits(&self.jobs[id])).collect();
        (!fitting.is_empty()).then(|| fitting[which % fitting.len()])
    }

    fn job(&mut self, id: Uuid) -> &mut Known {
        self.jobs.get_mut(&id).unwrap()
    }

    fn waiting(&self, queue: &str) -> u64 {
        use JobState::{Available, Pending, Retryable, Scheduled};
        let waits = |job: &&Known| {
            job.new.queue == queue && matches!(job.state, Pending | Scheduled | Available | Retryable)
        };
        self.jobs.values().filter(waits).count() as u64
    }

    fn store(&mut self, new: NewJob, replay_of: Option<Uuid>, now: Timestamp) -> JobState {
        let later = new.scheduled_at.filter(|at| *at > now && replay_of.is_none());
        let state = match later {
            _ if new.held.is_some() => JobState::Pending,
            Some(_) => JobState::Scheduled,
            None => JobState::Available,
        };
        self.order.push(new.id);
        let known = Known {
            state,
            attempt: 0,
            token: None,
            session: None,
            lapses_at: None,
            created_at: now,
            due: later.unwrap_or(now),
            started: false,
            was_claimed: false,
            was_started: false,
            cancel_requested: false,
            deaths: 0,
            failed: false,
            result: false,
            finished_at: None,
            replay_of,
            attempts: Vec::new(),
            way: vec![EventType::Created],
            new,
        };
        self.jobs.insert(known.new.id, known);
        state
    }

    /// Which of these available jobs of a queue a claim gives, which stand in the order of the queue; and the key after
    /// which the next claim begins.
    fn turn<'k>(
        &'k self,
        queue: &str,
        available: Vec<&'k Known>,
        limit: u32,
        most: Option<u32>,
    ) -> (Vec<&'k Known>, String) {
        let (running, per_key, last) = self.turns.get(queue).cloned().unwrap_or_default();
        let running = running.into_iter().chain(most).min();
        let key = |job: &Known| job.new.partition_key.clone().unwrap_or_default();
        let executing = |of: Option<&str>| {
            let fits = |job: &&Known| {
                let of_key = of.is_none_or(|of| key(job) == of);
                job.new.queue == queue && job.state == JobState::Executing && of_key
            };
            self.jobs.values().filter(fits).count() as u32
        };
        let places = running.map_or(limit, |most| limit.min(most.saturating_sub(executing(None))));
        if places == 0 || available.iter().all(|job| job.new.partition_key.is_none()) {
            return (available.into_iter().take(places as usize).collect(), last);
        }
        let mut waiting: BTreeMap<String, Vec<&Known>> = BTreeMap::new();
        available.into_iter().for_each(|job| waiting.entry(key(job)).or_default().push(job));
        // Behind the last one come the larger ones, then who has no key, then the others.
        let place = |key: &str| (key.is_empty(), key <= last.as_str() && !key.is_empty());
        let mut circle: Vec<String> = waiting.keys().cloned().collect();
        circle.sort_by_key(|key| (place(key).1, place(key).0));
        let mut given: Vec<&Known> = Vec::new();
        for round in 0.. {
            let before = given.len();
            for key in &circle {
                let most = per_key.filter(|_| !key.is_empty());
                let room = most.is_none_or(|most| executing(Some(key)) + round < most);
                let next = waiting[key]
                    .get(round as usize)
                    .copied()
                    .filter(|_| room && given.len() < places as usize);
                given.extend(next);
            }
            if given.len() == before {
                break;
            }
        }
        let looked_at = circle.iter().rfind(|key| key.as_str() <= last.as_str()).cloned().unwrap_or_default();
        let next = given.last().map_or(looked_at, |job| key(job));
        (given, next)
    }

    /// The job has left its attempt, or its last state.
    fn left(&mut self, id: Uuid) {
        let job = &self.jobs[&id];
        let (state, queue, token) = (job.state, job.new.queue.clone(), job.token);
        self.old.extend(token.map(|token| Lease { id, token }));
        if state.is_final() {
            *self.ended.entry((queue, state)).or_default() += 1;
        }
    }

    /// What an operation that leaves no choice will do.
    fn foresee(&mut self, operation: &Operation, now: Timestamp) -> Outcome {
        match operation {
            Operation::Enqueue(new) => self.foresee_enqueue(new, now),
            Operation::Start { lease, .. } => {
                let leased = self.leased(*lease);
                leased.map_or(Outcome::Stale, |job| {
                    job.start();
                    Outcome::Started { cancel_requested: job.cancel_requested }
                })
            }
            Operation::Finish { lease, started_at, end } => {
                let Some(job) = self.leased(*lease) else {
                    let same = self.jobs.get(&lease.id).filter(|job| job.token == Some(lease.token));
                    return same.map_or(Outcome::Stale, |job| Outcome::Finished { state: job.state });
                };
                if started_at.is_some() {
                    job.start();
                }
                job.finish(end, now);
                let state = job.state;
                self.left(lease.id);
                Outcome::Finished { state }
            }
            Operation::HandOver { lease, visible_for } => {
                let Some(job) = self.leased(*lease) else { return Outcome::Stale };
                if job.cancel_requested {
                    job.cancel_outside(now);
                    self.left(lease.id);
                    return Outcome::Finished { state: JobState::Cancelled };
                }
                job.session = Some(OUTSIDE);
                job.lapses_at = Some(now.saturating_add(*visible_for));
                Outcome::HandedOver
            }
            Operation::Hear(word) => self.foresee_word(word, now),
            Operation::Cancel { id } => self.foresee_cancel(*id, now),
            Operation::Retry { id, replay_id, event_id, max_backlog, .. } => {
                self.foresee_retry(*id, *replay_id, *event_id, *max_backlog, now)
            }
            Operation::PutQueues(_) => Outcome::Done,
            Operation::LimitQueue { queue, limits } => {
                let known = self.turns.entry(queue.clone()).or_default();
                (known.0, known.1) = (limits.max_running.flatten(), limits.max_running_per_key.flatten());
                Outcome::Done
            }
            Operation::OpenSession(new) => {
                match self.sessions.iter_mut().find(|session| session.new.id == new.id) {
                    Some(session) => session.seen_at = now,
                    None => self.sessions.push(KnownSession { new: new.clone(), seen_at: now, open: true }),
                }
                Outcome::Done
            }
            other => unreachable!("{other:?} leaves a choice"),
        }
    }

    fn leased(&mut self, lease: Lease) -> Option<&mut Known> {
        let job = self.jobs.get_mut(&lease.id)?;
        (job.state == JobState::Executing && job.token == Some(lease.token)).then_some(job)
    }

    fn foresee_enqueue(&mut self, new: &NewJob, now: Timestamp) -> Outcome {
        if let Some(known) = self.jobs.get(&new.id) {
            return if known.new.fingerprint == new.fingerprint {
                Outcome::Duplicate { event_id: known.new.event_id, state: known.state }
            } else {
                Outcome::Conflict
            };
        }
        let waiting = self.waiting(&new.queue);
        if waiting >= new.max_backlog {
            return Outcome::BacklogFull { waiting, limit: new.max_backlog };
        }
        Outcome::Enqueued { state: self.store(new.clone(), None, now) }
    }

    fn foresee_cancel(&mut self, id: Uuid, now: Timestamp) -> Outcome {
        let Some(job) = self.jobs.get_mut(&id) else { return Outcome::NotFound };
        match (job.state, job.session) {
            (state, _) if state.is_final() => Outcome::NotPossible { state },
            (JobState::Executing, Some(OUTSIDE)) => {
                job.cancel_outside(now);
                self.left(id);
                Outcome::Cancelled
            }
            (JobState::Executing, Some(session)) => {
                if !job.cancel_requested {
                    job.cancel_requested = true;
                    job.way.push(EventType::CancelRequested);
                }
                let lease = Lease { id, token: job.token.unwrap() };
                Outcome::CancelRequested { lease, queue: job.new.queue.clone(), session }
            }
            _ => {
                job.enter(JobState::Cancelled, now);
                job.way.push(EventType::Failed);
                job.new.held = None;
                self.left(id);
                Outcome::Cancelled
            }
        }
    }

    fn foresee_word(&mut self, word: &OutsideWord, now: Timestamp) -> Outcome {
        if self.inbox.contains(&word.event.id) {
            return Outcome::Seen;
        }
        let Some(job) = self.jobs.get_mut(&word.job) else { return Outcome::NotFound };
        let (queue, job_type) = (job.new.queue.clone(), job.new.job_type.clone());
        let served = queue == SERVED;
        if !served && job.session != Some(OUTSIDE) {
            return Outcome::NotServed { queue };
        }
        if job.state != JobState::Executing || word.token.is_some_and(|token| job.token != Some(token)) {
            self.inbox.insert(word.event.id);
            return Outcome::Stale;
        }
        job.start();
        let mut again = None;
        let end = match &word.said {
            Said::Alive => {
                if served {
                    job.lapses_at = Some(now.saturating_add(ALIVE));
                }
                return Outcome::Heard { queue, job_type, state: job.state, retry_at: None };
            }
            Said::Completed { .. } => completed(),
            Said::Failed { error, .. } => {
                let another = job.attempt < job.new.max_attempts && !error.is_final;
                again = another.then(|| now.saturating_add(SECOND));
                failed(again)
            }
        };
        job.finish(&end, now);
        let state = job.state;
        self.left(word.job);
        self.inbox.insert(word.event.id);
        let retry_at = again.filter(|_| state == JobState::Retryable);
        Outcome::Heard { queue, job_type, state, retry_at }
    }

    fn foresee_retry(
        &mut self,
        id: Uuid,
        replay_id: Uuid,
        event_id: Uuid,
        max_backlog: u64,
        now: Timestamp,
    ) -> Outcome {
        let Some(job) = self.jobs.get_mut(&id) else { return Outcome::NotFound };
        let queue = job.new.queue.clone();
        match job.state {
            state if state.is_final() => {
                let new = NewJob { id: replay_id, event_id, held: None, ..job.new.clone() };
                if let Some(replay) = self.jobs.get(&replay_id) {
                    return Outcome::Replayed { id: replay_id, queue, state: replay.state };
                }
                let waiting = self.waiting(&queue);
                if waiting >= max_backlog {
                    return Outcome::BacklogFull { waiting, limit: max_backlog };
                }
                let state = self.store(new, Some(id), now);
                Outcome::Replayed { id: replay_id, queue, state }
            }
            state if matches!(state, JobState::Scheduled | JobState::Retryable) || job.is_quarantined() => {
                if job.is_quarantined() {
                    job.deaths = 0;
                }
                job.make_available(now);
                Outcome::MadeAvailable { queue }
            }
            state => Outcome::NotPossible { state },
        }
    }

    fn plan(&mut self, operation: Operation, now: Timestamp) {
        let outcome = self.foresee(&operation, now);
        self.batch.push((operation, outcome));
    }
}

/// How an attempt of this job ends.
fn end(job: &Known, number: u8, now: Timestamp) -> AttemptEnd {
    match number {
        0..3 => completed(),
        3 | 4 if job.attempt < job.new.max_attempts => failed(Some(now.saturating_add(SECOND))),
        3..6 => failed(None),
        6 => cancelled(),
        7 => AttemptEnd::Released,
        _ => AttemptEnd::Snoozed { until: now.saturating_add(SECOND) },
    }
}

async fn carry_out<B: Backend>(stage: &mut Stage<B>, model: &mut Model, step: Step) {
    let now = stage.now();
    match step {
        Step::Enqueue { queue, job_type, held, attempts, limited, soon, priority, key } => {
            let held = held.then(|| "no handler".to_owned());
            let max_backlog = if limited { LIMIT } else { 1_000_000 };
            let (queue, job_type) = (QUEUES[queue].into(), TYPES[job_type].into());
            let scheduled_at = (soon > 0).then(|| now.saturating_add(soon * SECOND));
            let max_attempts = attempts;
            let partition_key = KEYS[key].map(str::to_owned);
            let new = NewJob {
                queue,
                job_type,
                held,
                max_backlog,
                max_attempts,
                scheduled_at,
                priority,
                partition_key,
                ..job()
            };
            model.plan(enqueue(&new), now);
        }
        Step::EnqueueAgain { which, other } => {
            let Some(id) = model.pick(which, |job| job.replay_of.is_none()) else { return };
            let fingerprint = if other { [8; 32] } else { [7; 32] };
            let new = NewJob { fingerprint, event_id: Uuid::now_v7(), ..model.jobs[&id].new.clone() };
            model.plan(enqueue(&new), now);
        }
        Step::Start { which } => {
            let Some(id) = model.pick(which, |job| job.state == JobState::Executing) else { return };
            let lease = Lease { id, token: model.jobs[&id].token.unwrap() };
            model.plan(Operation::Start { lease, started_at: now }, now);
        }
        Step::Finish { which, end: number, started } => {
            let Some(id) = model.pick(which, |job| job.state == JobState::Executing) else { return };
            let job = &model.jobs[&id];
            let lease = Lease { id, token: job.token.unwrap() };
            let end = end(job, number, now);
            model.plan(Operation::Finish { lease, started_at: started.then_some(now), end }, now);
        }
        Step::Stale { which, end: number } => {
            let Some(lease) = model.old.get(which % model.old.len().max(1)).copied() else { return };
            let end = model.jobs.get(&lease.id).map_or_else(completed, |job| end(job, number, now));
            model.plan(finish(lease, end), now);
            model.plan(Operation::Start { lease, started_at: now }, now);
        }
        Step::Guess { which } => {
            let Some(id) = model.pick(which, |_| true) else { return };
            let lease = Lease { id, token: model.newest_token + 1_000_000 };
            model.plan(finish(lease, completed()), now);
        }
        Step::Cancel { which } => {
            let Some(id) = model.pick(which, |_| true) else { return };
            model.plan(Operation::Cancel { id }, now);
        }
        Step::Retry { which, limited } => {
            let Some(id) = model.pick(which, |job| job.state.is_final() || which % 3 == 0) else { return };
            let (replay_id, event_id) = (Uuid::now_v7(), Uuid::now_v7());
            let max_backlog = if limited { LIMIT } else { 1_000_000 };
            let max_total = u64::MAX;
            let operation = Operation::Retry { id, replay_id, event_id, max_backlog, max_total };
            model.plan(operation.clone(), now);
            model.replays.push(operation);
        }
        Step::RetryAgain { which } => {
            let Some(again) = model.replays.get(which % model.replays.len().max(1)).cloned() else { return };
            // A replay that is deleted would be made anew, under an id of which there are events.
            let Operation::Retry { replay_id, .. } = again else { unreachable!() };
            if !model.gone.contains_key(&replay_id) {
                model.plan(again, now);
            }
        }
        Step::OpenSession { again } => {
            let known = again.and_then(|which| model.sessions.get(which % model.sessions.len().max(1)));
            let new = known.map_or_else(session, |known| known.new.clone());
            model.plan(Operation::OpenSession(new), now);
        }
        Step::RenewSession { which } => {
            send(stage, model, None).await;
            renew(stage, model, which).await;
        }
        Step::Unknown { what } => {
            let id = Uuid::now_v7();
            let operation = match what {
                0 => Operation::Cancel { id },
                1 => crate::store::words::retry(id),
                2 => finish(Lease { id, token: 1 }, completed()),
                _ => Operation::Start { lease: Lease { id, token: 1 }, started_at: now },
            };
            model.plan(operation, now);
        }
        Step::Limit { queue, running, per_key } => {
            let limits = QueueLimits {
                max_running: Some(running),
                max_running_per_key: Some(per_key),
                ..QueueLimits::default()
            };
            model.plan(Operation::LimitQueue { queue: QUEUES[queue].into(), limits }, now);
        }
        Step::Claim { queue, limit, session, most } => {
            claim_some(stage, model, QUEUES[queue], limit, session, most).await
        }
        Step::HandOver { which, seconds } => {
            let Some(id) = model.pick(which, |job| job.state == JobState::Executing) else { return };
            let lease = Lease { id, token: model.jobs[&id].token.unwrap() };
            model.plan(Operation::HandOver { lease, visible_for: seconds * SECOND }, now);
        }
        Step::Hear { which, said, token } => {
            let Some(id) = model.pick(which, |job| job.was_claimed) else { return };
            let current = model.jobs[&id].token;
            let token = if token { Some(current.unwrap_or(1)) } else { None };
            let word = word(id, token, said, now);
            model.words.push(word.clone());
            model.plan(Operation::Hear(Box::new(word)), now);
        }
        Step::HearAgain { which } => {
            let Some(word) = model.words.get(which % model.words.len().max(1)).cloned() else { return };
            // A word that did nothing is a new one as long as it does nothing; a job's end makes it count.
            model.plan(Operation::Hear(Box::new(word)), now);
        }
        Step::Lapse { limit } => lapse_some(stage, model, limit).await,
        Step::Promote { limit } => promote_some(stage, model, limit).await,
        Step::Release { job_type, limit } => release_some(stage, model, TYPES[job_type], limit).await,
        Step::Rescue { which, limit, idle } => rescue_some(stage, model, which, limit, idle).await,
        Step::Prune { age, events, batch } => prune_some(stage, model, age, events, batch).await,
        Step::Pass { seconds } => {
            send(stage, model, None).await;
            stage.pass(Duration::from_secs(seconds));
        }
        Step::Send { again } => send_perhaps_again(stage, model, again).await,
        Step::Reopen => {
            send(stage, model, None).await;
            stage.reopen().await;
        }
        Step::Kill => {
            send(stage, model, None).await;
            stage.kill().await;
        }
    }
}

/// Sends what was planned, with one more operation that leaves a choice; gives what that one did.
async fn send<B: Backend>(stage: &Stage<B>, model: &mut Model, last: Option<Operation>) -> Option<Outcome> {
    let (mut operations, expected): (Vec<_>, Vec<_>) = model.batch.drain(..).unzip();
    let with_last = last.is_some();
    operations.extend(last);
    if operations.is_empty() {
        return None;
    }
    let mut outcomes = stage.apply(operations.clone()).await;
    assert_eq!(outcomes.len(), operations.len());
    let last = if with_last { outcomes.pop() } else { None };
    for ((outcome, expected), operation) in outcomes.iter().zip(&expected).zip(&operations) {
        assert_eq!(outcome, expected, "{operation:?} in {operations:?}");
    }
    last
}

/// Sends what was planned, and once more, as after an answer that was lost: that changes nothing.
async fn send_perhaps_again<B: Backend>(stage: &Stage<B>, model: &mut Model, again: bool) {
    let operations: Vec<Operation> = model.batch.iter().map(|(operation, _)| operation.clone()).collect();
    send(stage, model, None).await;
    // What asks for a change by what the job's state is does something else once that has changed.
    let depends = |operation: &Operation| {
        matches!(operation, Operation::Cancel { .. } | Operation::Retry { .. } | Operation::Hear(_))
    };
    if again && (operations.len() == 1 || !operations.iter().any(depends)) {
        let before = (stage.log().await, stage.list(JobFilter::default()).await);
        stage.apply(operations.clone()).await;
        let after = (stage.log().await, stage.list(JobFilter::default()).await);
        assert!(before == after, "sent again, it changed something: {operations:?}");
    }
}

async fn claim_some<B: Backend>(
    stage: &Stage<B>,
    model: &mut Model,
    queue: &str,
    limit: u32,
    which: usize,
    most: Option<u32>,
) {
    let session = model.sessions[which % model.sessions.len()].clone();
    let operation = match most {
        Some(most) => Operation::ClaimOut { queue: queue.into(), limit, session: session.new.id, most },
        None => claim(queue, limit, session.new.id),
    };
    let outcome = send(stage, model, Some(operation)).await.unwrap();
    if !session.open {
        assert_eq!(outcome, Outcome::NotFound, "nothing is claimed for a session that is closed");
        return;
    }
    let Outcome::Claimed(claimed) = outcome else { panic!("{outcome:?}") };
    let places: BTreeMap<Uuid, usize> =
        model.order.iter().enumerate().map(|(place, id)| (*id, place)).collect();
    let available = |job: &&Known| job.new.queue == queue && job.state == JobState::Available;
    let mut expected: Vec<&Known> = model.jobs.values().filter(available).collect();
    expected.sort_by_key(|job| (Reverse(job.new.priority), job.due, places[&job.new.id]));
    let (expected, last_key) = model.turn(queue, expected, limit, most);
    let expected: Vec<(Uuid, u32)> = expected.iter().map(|job| (job.new.id, job.attempt + 1)).collect();
    assert_eq!(claimed.iter().map(|job| (job.id, job.attempt)).collect::<Vec<_>>(), expected);
    model.turns.entry(queue.to_owned()).or_default().2 = last_key;
    let newest = model.newest_token;
    for job in claimed {
        assert!(job.token > newest, "tokens only grow");
        model.newest_token = model.newest_token.max(job.token);
        assert_eq!((job.claimed_at, job.queue.as_str()), (stage.now(), queue));
        let known = model.job(job.id);
        assert_eq!((&job.payload, job.created_at), (&known.new.payload, known.created_at));
        assert_eq!(job.partition_key, known.new.partition_key);
        (known.state, known.attempt, known.token) = (JobState::Executing, job.attempt, Some(job.token));
        (known.session, known.started) = (Some(session.new.id), false);
        if !known.was_claimed {
            known.was_claimed = true;
            known.way.push(EventType::Validated);
        }
    }
}

/// A word of a worker outside.
fn word(job: Uuid, token: Option<u64>, said: u8, now: Timestamp) -> OutsideWord {
    let retry = RetryPlan { by_type: Arc::default(), other: RetryPolicy::Fixed(SECOND), random: 0.5 };
    let final_error = AttemptError { is_final: true, ..error() };
    let said = match said {
        0 | 1 => Said::Alive,
        2 => Said::Completed { result: Some("17".into()) },
        3 => Said::Failed { error: error(), retry },
        _ => Said::Failed { error: final_error, retry },
    };
    let event = ReceivedEvent { id: Uuid::now_v7(), occurred_at: now, producer: "worker/1".into() };
    let served = Arc::new(BTreeMap::from([(SERVED.to_owned(), ALIVE)]));
    OutsideWord { event, job, token, started_at: None, said, served }
}

/// Ends what has lapsed, in bounded steps.
async fn lapse_some<B: Backend>(stage: &Stage<B>, model: &mut Model, limit: u32) {
    let now = stage.now();
    send(stage, model, None).await;
    let outside = |job: &Known| job.state == JobState::Executing && job.session == Some(OUTSIDE);
    let due = ids(model, |job| outside(job) && job.lapses_at.is_some_and(|at| at <= now));
    let mut expected: BTreeMap<String, u32> = BTreeMap::new();
    due.iter().for_each(|id| *expected.entry(model.jobs[id].new.queue.clone()).or_default() += 1);
    let mut all: BTreeMap<String, u32> = BTreeMap::new();
    let next_at = loop {
        let retry = RetryPlan { by_type: Arc::default(), other: RetryPolicy::Fixed(SECOND), random: 0.5 };
        let lapse = Operation::Lapse { error: lost(), retry, limit, leader: stage.leader };
        let outcome = stage.one(lapse).await;
        let Outcome::Lapsed { ended, retry_at, next_at } = outcome else { panic!("{outcome:?}") };
        assert!(ended.values().sum::<u32>() <= limit);
        assert!(retry_at.is_none_or(|at| at == now.saturating_add(SECOND)));
        ended.into_iter().for_each(|(queue, count)| *all.entry(queue).or_default() += count);
        if next_at.is_none_or(|at| at > now) {
            break next_at;
        }
    };
    assert_eq!(all, expected);
    for id in due {
        let job = model.job(id);
        let another = job.attempt < job.new.max_attempts;
        job.fail(another.then(|| now.saturating_add(SECOND)), now);
        model.left(id);
    }
    let first = model.jobs.values().filter(|job| outside(job)).filter_map(|job| job.lapses_at).min();
    assert!(first.is_none_or(|first| next_at.is_some_and(|at| at <= first)), "{next_at:?} {first:?}");
}

/// Which of these jobs are no longer in the state they were in.
async fn moved<B: Backend>(stage: &Stage<B>, model: &Model, candidates: &[Uuid]) -> Vec<Uuid> {
    let found = stage.store.jobs_by_id(candidates.to_vec()).await.unwrap();
    assert_eq!(found.len(), candidates.len());
    let changed = found.iter().filter(|job| job.state != model.jobs[&job.id].state);
    changed.map(|job| job.id).collect()
}

/// Looks whether the answer to a bounded step fits what was moved.
fn check_moved(model: &Model, outcome: &Outcome, moved: &[Uuid], expected: usize) -> Option<Timestamp> {
    let Outcome::Moved { queues, count, next_at } = outcome else { panic!("{outcome:?}") };
    assert_eq!((*count as usize, moved.len()), (expected, expected), "{outcome:?}");
    for id in moved {
        assert!(queues.contains(&model.jobs[id].new.queue), "{outcome:?}");
    }
    assert!(!moved.is_empty() || queues.is_empty(), "{outcome:?}");
    *next_at
}

fn ids(model: &Model, fits: impl Fn(&Known) -> bool) -> Vec<Uuid> {
    model.order.iter().copied().filter(|id| fits(&model.jobs[id])).collect()
}

async fn promote_some<B: Backend>(stage: &Stage<B>, model: &mut Model, limit: u32) {
    let now = stage.now();
    let outcome = send(stage, model, Some(stage.promotion(limit))).await.unwrap();
    let waits = |job: &Known| matches!(job.state, JobState::Retryable | JobState::Scheduled);
    let due = ids(model, |job| waits(job) && job.due <= now);
    let moved = moved(stage, model, &due).await;
    let next = check_moved(model, &outcome, &moved, due.len().min(limit as usize));
    let latest = moved.iter().map(|id| model.jobs[id].due).max();
    for id in &moved {
        model.job(*id).make_available(now);
    }
    let left = model.jobs.values().filter(|job| waits(job)).map(|job| job.due).min();
    assert_eq!(next, left, "when the next one's time comes");
    assert!(latest.is_none_or(|latest| left.is_none_or(|left| left >= latest)), "the first due comes first");
}

async fn release_some<B: Backend>(stage: &Stage<B>, model: &mut Model, job_type: &str, limit: u32) {
    let now = stage.now();
    let outcome = send(stage, model, Some(release(&[job_type, "nobody's"], limit))).await.unwrap();
    let waits = |job: &Known| job.state == JobState::Pending && !job.is_quarantined();
    let held = ids(model, |job| waits(job) && job.new.job_type == job_type);
    let moved = moved(stage, model, &held).await;
    check_moved(model, &outcome, &moved, held.len().min(limit as usize));
    for id in moved {
        let job = model.job(id);
        if job.due > now {
            job.enter(JobState::Scheduled, now);
            job.new.held = None;
        } else {
            job.make_available(now);
        }
    }
}

async fn renew<B: Backend>(stage: &Stage<B>, model: &mut Model, which: usize) {
    let which = which % model.sessions.len();
    let session = &mut model.sessions[which];
    let id = session.new.id;
    let renewed = stage.store.renew(id).await.unwrap();
    if !session.open {
        assert_eq!(renewed, Renewal::Lost);
        return;
    }
    session.seen_at = stage.now();
    let Renewal::Alive { mut cancels } = renewed else { panic!("{renewed:?}") };
    cancels.sort_by_key(|(lease, _)| lease.id);
    let asked = |job: &&Known| job.session == Some(id) && job.cancel_requested;
    let lease = |job: &Known| (Lease { id: job.new.id, token: job.token.unwrap() }, job.new.queue.clone());
    let mut expected: Vec<_> = model.jobs.values().filter(asked).map(lease).collect();
    expected.sort_by_key(|(lease, _)| lease.id);
    assert_eq!(cancels, expected);
}

/// `idle`: only if the session was silent for two seconds.
async fn rescue_some<B: Backend>(stage: &Stage<B>, model: &mut Model, which: usize, limit: u32, idle: bool) {
    let now = stage.now();
    let which = which % model.sessions.len();
    let idle_for = idle.then_some(2 * SECOND);
    let id = model.sessions[which].new.id;
    let leader = idle.then_some(stage.leader);
    let quarantine_after = if idle { 2 } else { 0 };
    let operation =
        Operation::Rescue { session: id, error: lost(), limit, idle_for, quarantine_after, leader };
    let outcome = send(stage, model, Some(operation)).await.unwrap();
    let silent = now.saturating_since(model.sessions[which].seen_at);
    let held = ids(model, |job| job.state == JobState::Executing && job.session == Some(id));
    let moved = moved(stage, model, &held).await;
    if idle_for.is_some_and(|idle_for| silent < idle_for) {
        assert_eq!(outcome, Outcome::NotFound);
        assert!(moved.is_empty());
        return;
    }
    check_moved(model, &outcome, &moved, held.len().min(limit as usize));
    model.sessions[which].open &= moved.len() >= limit as usize;
    for id in moved {
        let lease = Lease { id, token: model.jobs[&id].token.unwrap() };
        model.old.push(lease);
        model.job(id).lose(now, quarantine_after);
        model.left(id);
    }
}

async fn prune_some<B: Backend>(stage: &Stage<B>, model: &mut Model, age: u64, events_max: u64, batch: u32) {
    send(stage, model, None).await;
    let log = stage.log().await;
    let age = Duration::from_secs(age);
    let kept = Retention {
        completed: age,
        cancelled: 2 * age,
        discarded: 3 * age,
        events: age,
        events_max,
        keys: age,
        inbox: 36_500 * DAY,
        inbox_max: u64::MAX,
        batch,
    };
    let before = |age: Duration| stage.now().saturating_sub(age);
    let old = |job: &Known| {
        let age = match job.state {
            JobState::Completed => kept.completed,
            JobState::Cancelled => kept.cancelled,
            _ => kept.discarded,
        };
        job.finished_at.is_some_and(|at| at < before(age))
    };
    let old = ids(model, old);
    let mut left = old.len() as u64;
    loop {
        let outcome = stage.one(stage.pruning(kept)).await;
        let Outcome::Pruned { jobs, more, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(jobs, left.min(u64::from(batch)));
        left -= jobs;
        if !more {
            break;
        }
    }
    assert_eq!(left, 0);
    for id in old {
        let job = model.jobs.remove(&id).unwrap();
        model.gone.insert(id, job.way);
        model.order.retain(|kept| *kept != id);
    }
    let after = stage.log().await;
    // A store for several processes may let go, or keep, as one what was written in one transaction.
    let slack = if B::SHARED { 64 } else { 0 };
    assert!(after.len() as u64 <= events_max + slack);
    assert!(
        after
            .iter()
            .map(|event| event.cursor)
            .eq(log[log.len() - after.len()..].iter().map(|event| event.cursor))
    );
    let too_old = |at: Timestamp| at < before(kept.events);
    assert!(after.first().is_none_or(|event| !too_old(event.event.occurred_at)));
    let young =
        log[..log.len() - after.len()].iter().filter(|event| !too_old(event.event.occurred_at)).count();
    let too_many = (log.len() as u64).saturating_sub(events_max);
    assert!(young as u64 <= too_many + slack, "{young} events are deleted before their time");
    assert!(young == 0 || too_many > 0, "{young} events are deleted before their time");
}

/// What readers see is what the model knows.
async fn compare<B: Backend>(stage: &Stage<B>, model: &Model) {
    let stored = stage.list(JobFilter::default()).await;
    let order: Vec<Uuid> = stored.iter().rev().map(|job| job.id).collect();
    assert_eq!(order, model.order);
    for job in &stored {
        compare_job(job, &model.jobs[&job.id]);
    }
    for (_, held) in stage.store.queues().await.unwrap() {
        for state in JobState::ALL {
            let known = if state.is_final() {
                model.ended.get(&(held.queue.clone(), state)).copied().unwrap_or_default()
            } else {
                let fits = |job: &&Known| job.state == state && job.new.queue == held.queue;
                model.jobs.values().filter(fits).count() as u64
            };
            assert_eq!(held.count(state), known, "{state} in {}", held.queue);
        }
    }
    let mut sessions = stage.store.open_sessions().await.unwrap();
    sessions.retain(|session| session.id != stage.leading);
    sessions.sort_by_key(|session| session.id);
    let mut known: Vec<&KnownSession> = model.sessions.iter().filter(|session| session.open).collect();
    known.sort_by_key(|session| session.new.id);
    assert_eq!(sessions.len(), known.len());
    for (session, known) in sessions.iter().zip(known) {
        let holds = |job: &&Known| job.session == Some(known.new.id);
        let executing = model.jobs.values().filter(holds).count() as u64;
        let expected = (known.new.id, known.seen_at, executing);
        assert_eq!((session.id, session.seen_at, session.executing), expected);
    }
}

fn compare_job(job: &JobRecord, known: &Known) {
    assert_eq!((job.state, job.attempt), (known.state, known.attempt), "{job:?} {known:?}");
    assert_eq!((job.scheduled_at, job.created_at), (known.due, known.created_at), "{job:?} {known:?}");
    assert_eq!(job.finished_at, known.finished_at, "{known:?}");
    assert_eq!(job.last_error.is_some(), known.failed, "{job:?} {known:?}");
    assert_eq!(job.wait_reason, known.new.held, "{job:?} {known:?}");
    assert_eq!(job.cancel_requested_at.is_some(), known.cancel_requested, "{job:?} {known:?}");
    assert_eq!(job.started_at.is_some(), known.started, "{job:?} {known:?}");
    assert_eq!((job.replay_of, job.max_attempts), (known.replay_of, known.new.max_attempts));
    assert_eq!((job.priority, &job.partition_key), (known.new.priority, &known.new.partition_key));
    assert_eq!((&job.queue, &job.job_type), (&known.new.queue, &known.new.job_type));
    assert_eq!(job.created_event_id, known.new.event_id);
}

/// The log, and what is told of each attempt, are what the model knows.
async fn compare_ways<B: Backend>(stage: &Stage<B>, model: &Model) {
    let complete = stage.events_after(LogCursor::default(), 1).await.oldest.position == 1;
    let mut told: BTreeMap<Uuid, Vec<EventType>> = BTreeMap::new();
    for event in stage.log().await {
        told.entry(crate::store::stage::job_of(&event)).or_default().push(event.event.event_type);
    }
    let known = model.jobs.iter().map(|(id, job)| (id, &job.way)).chain(&model.gone);
    for (id, way) in known {
        let told = told.remove(id).unwrap_or_default();
        let fits = if complete { told == *way } else { way.ends_with(&told) };
        assert!(fits, "{told:?} is told, and {way:?} has happened");
    }
    assert!(told.is_empty(), "nobody knows {told:?}");
    for (id, known) in &model.jobs {
        let found = stage.store.job(*id).await.unwrap().unwrap();
        let attempts: Vec<_> =
            found.attempts.iter().map(|attempt| (attempt.attempt, attempt.outcome)).collect();
        assert_eq!(attempts, known.attempts);
        assert_eq!(found.job.result.is_some(), known.result);
    }
}

async fn scenario<B: Backend>(stage: &mut Stage<B>, steps: Vec<Step>) {
    let mut model = Model::default();
    let now = stage.now();
    model.plan(Operation::OpenSession(session()), now);
    let queue = |name: &str| QueueSettings { name: name.into(), concurrency: 5, max_backlog: 1_000_000 };
    model.plan(Operation::PutQueues(QUEUES.map(queue).into()), now);
    for step in steps {
        carry_out(stage, &mut model, step).await;
        if model.batch.is_empty() {
            compare(stage, &model).await;
        }
    }
    send(stage, &mut model, None).await;
    compare(stage, &model).await;
    compare_ways(stage, &model).await;
}

pub fn any_operations_agree_with_the_model<B: Backend>() {
    let config = ProptestConfig {
        cases: B::CASES,
        // A case that fails is told in full; a file that is left behind would tell no more.
        failure_persistence: None,
        // Each step of making a case smaller takes as long as the case itself.
        max_shrink_iters: 20 * B::CASES,
        ..ProptestConfig::default()
    };
    let tested = TestRunner::new(config).run(&prop::collection::vec(step(), 1..120), |steps| {
        crate::block_on(run::<B>(async |stage| scenario(stage, steps).await));
        Ok(())
    });
    if let Err(failure) = tested {
        panic!("{failure}");
    }
}
