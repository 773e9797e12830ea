//! The work that SQLite does for each statement must not grow with the tables.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc, time::Duration};

use callboard_contracts::{
    JobState, Timestamp,
    api::{AttemptError, ErrorKind, JobLogQuery, LogCursor, LogLevel, QueueLimits},
};
use rusqlite::{
    Connection, StatementStatus,
    trace::{TraceEvent, TraceEventCodes},
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{SqliteOptions, bulk, dead_jobs, edges, open, read, reports, transaction::Memory, writer::Work};
use crate::edges::store::{
    Operation, Outcome,
    dead_jobs::{BulkSelection, CausePage, CauseQuery, DeadJobsOperation},
    outside::{OutsideWord, ReceivedEvent, ReceivedJob, RetryPlan, Said},
    record::{AttemptEnd, EdgeState, JobFilter, Lease, NewJob, NewSession, QueueSettings, Retention},
    report::{Report, ReportedLine, ReportedProgress, ReportedState},
};
use crate::jobs::RetryPolicy;

thread_local! {
    /// Statements that have run, with the steps that each took.
    static STEPS: RefCell<Vec<(String, i64)>> = const { RefCell::new(Vec::new()) };
}

fn follow(connection: &Connection) {
    let note = |event: TraceEvent<'_>| {
        if let TraceEvent::Profile(statement, _) = event {
            let steps = i64::from(statement.get_status(StatementStatus::VmStep));
            STEPS.with_borrow_mut(|all| all.push((statement.sql().into_owned(), steps)));
        }
    };
    connection.trace_v2(TraceEventCodes::SQLITE_TRACE_PROFILE, Some(note));
}

/// Calls it twice, so that counters of statements that were prepared before count the second call alone, and gives the
/// steps of that call.
pub(super) fn steps(mut call: impl FnMut()) -> i64 {
    call();
    let total = || STEPS.with_borrow_mut(|all| all.drain(..).fold(BTreeMap::new(), latest));
    let before = total();
    call();
    let after = total();
    after.iter().map(|(sql, steps)| (steps - before.get(sql).copied().unwrap_or(0)).max(0)).sum()
}

/// A statement's counter goes on from run to run: the last one is the sum.
fn latest(mut all: BTreeMap<String, i64>, (sql, steps): (String, i64)) -> BTreeMap<String, i64> {
    all.insert(sql, steps);
    all
}

pub(super) struct Bench {
    _folder: tempfile::TempDir,
    work: Work,
    pub(super) reader: Connection,
    session: Uuid,
}

pub(super) fn job(job_type: &str, queue: &str) -> Operation {
    Operation::Enqueue(Box::new(NewJob {
        id: Uuid::now_v7(),
        job_type: job_type.to_owned(),
        queue: queue.to_owned(),
        payload: "{}".to_owned(),
        metadata: None,
        document: None,
        fingerprint: [0; 32],
        max_attempts: 3,
        timeout: Duration::from_secs(1),
        held: None,
        correlation_id: Uuid::now_v7(),
        trace: None,
        event_id: Uuid::now_v7(),
        max_backlog: u64::MAX,
        max_total: u64::MAX,
        needs: Vec::new(),
        scheduled_at: None,
        priority: 0,
        tags: vec![job_type.to_owned()],
        partition_key: None,
        unique: None,
    }))
}

fn event() -> ReceivedEvent {
    ReceivedEvent { id: Uuid::now_v7(), occurred_at: Timestamp::now(), producer: "another".to_owned() }
}

/// A job that another program tells of.
fn received(job_type: &str, queue: &str) -> Operation {
    let Operation::Enqueue(job) = job(job_type, queue) else { unreachable!("it is one") };
    Operation::ReceiveJob(Box::new(ReceivedJob { event: event(), job: *job }))
}

fn error() -> AttemptError {
    AttemptError { kind: ErrorKind::Failed, message: "no".to_owned(), backtrace: None, is_final: false }
}

impl Bench {
    /// A store with a few jobs in each state, and after them so many completed ones.
    pub(super) fn new(completed: usize) -> Bench {
        let folder = tempfile::TempDir::new().unwrap();
        let options = SqliteOptions::new(folder.path().join("callboard.db"));
        let connection = open::writer(&options).unwrap();
        let reader = open::reader(&options).unwrap();
        let memory = Memory::load(&connection).unwrap();
        let (committed, _) = watch::channel(LogCursor::default());
        let session = Uuid::now_v7();
        let work = Work { connection, options, memory, committed };
        let mut bench = Bench { _folder: folder, work, reader, session };
        let queue = |name: &str| QueueSettings { name: name.to_owned(), concurrency: 5, max_backlog: 10 };
        bench.apply(vec![
            Operation::PutQueues(vec![queue("default"), queue("small")]),
            Operation::OpenSession(NewSession {
                id: session,
                node: "node".to_owned(),
                version: "0".to_owned(),
                process: 1,
            }),
        ]);
        bench.apply((0..60).map(|_| job("rare", "small")).collect());
        bench.finish("small", 10, || AttemptEnd::Failed { error: error(), retry_at: None });
        let soon = Timestamp::now();
        bench.finish("small", 10, || AttemptEnd::Failed { error: error(), retry_at: Some(soon) });
        bench.claim("small", 10);
        for _ in 0..completed / 200 {
            bench.apply((0..200).map(|_| received("common", "default")).collect());
            bench.finish("default", 199, || AttemptEnd::Completed { result: None });
            bench.report();
        }
        bench.apply((0..20).map(|_| job("common", "default")).collect());
        // As many are with workers outside.
        bench
            .work
            .connection
            .execute("INSERT INTO outside_attempts SELECT id, token, 1 << 60 FROM jobs WHERE state = 5", ())
            .unwrap();
        STEPS.with_borrow_mut(Vec::clear);
        follow(&bench.work.connection);
        follow(&bench.reader);
        bench
    }

    pub(super) fn apply(&mut self, operations: Vec<Operation>) -> Vec<Outcome> {
        let results = self.work.apply(&operations).unwrap();
        results.into_iter().map(|result| result.unwrap()).collect()
    }

    pub(super) fn claim(&mut self, queue: &str, limit: u32) -> Vec<Lease> {
        let claim = Operation::Claim { queue: queue.to_owned(), limit, session: self.session };
        match self.apply(vec![claim]).remove(0) {
            Outcome::Claimed(jobs) => jobs.iter().map(|job| Lease { id: job.id, token: job.token }).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self, queue: &str, limit: u32, end: impl Fn() -> AttemptEnd) {
        let leases = self.claim(queue, limit);
        assert_eq!(leases.len(), limit as usize);
        let finish = |lease| Operation::Finish { lease, started_at: None, end: end() };
        self.apply(leases.into_iter().map(finish).collect());
    }

    /// Claims a job, lets it say something, and ends it.
    fn report(&mut self) -> Uuid {
        let lease = self.claim("default", 1)[0];
        let at = Timestamp::now();
        let line = |number| ReportedLine { number, at, level: LogLevel::Info, text: "said".to_owned() };
        let report = Report {
            lease,
            started_at: None,
            first: true,
            progress: Some(ReportedProgress { fraction: 0.5, message: None, at }),
            lines: (1..=20).map(line).collect(),
            published: Some(ReportedState { value: "{}".to_owned(), at }),
            taken: vec![1],
            forget: Some((5, 7)),
        };
        let end = AttemptEnd::Completed { result: None };
        let finish = Operation::Finish { lease, started_at: None, end };
        self.apply(vec![Operation::Report(Box::new(report)), finish]);
        lease.id
    }

    fn list(
        &self,
        states: &[JobState],
        queue: Option<&str>,
        job_type: Option<&str>,
        before: Option<u64>,
    ) -> i64 {
        let filter = JobFilter {
            states: states.to_vec(),
            queue: queue.map(str::to_owned),
            job_type: job_type.map(str::to_owned),
            tag: None,
            cause: None,
            before,
        };
        steps(|| {
            read::jobs(&self.reader, &filter, 5).unwrap();
        })
    }
}

/// The steps of each operation and each read.
fn measure(completed: usize) -> BTreeMap<&'static str, i64> {
    use JobState::{Available, Cancelled, Completed, Discarded, Executing, Retryable};
    let mut bench = Bench::new(completed);
    let some: Vec<Uuid> =
        read::jobs(&bench.reader, &JobFilter::default(), 5).unwrap().iter().map(|job| job.id).collect();
    let one = some[0];
    let mut all = BTreeMap::new();
    all.insert("list", bench.list(&[], None, None, None));
    all.insert("list before", bench.list(&[], None, None, Some(50)));
    all.insert("list by state", bench.list(&[Executing], None, None, None));
    all.insert("list by states", bench.list(&[Discarded, Retryable, Cancelled], None, None, None));
    all.insert("list by all states", bench.list(&[Available, Executing, Completed], None, None, None));
    all.insert("list by state before", bench.list(&[Executing, Discarded], None, None, Some(20)));
    all.insert("list by queue", bench.list(&[], Some("small"), None, None));
    all.insert("list by type", bench.list(&[], None, Some("rare"), None));
    all.insert("list by state and type", bench.list(&[Completed], None, Some("rare"), None));
    all.insert("list by states and queue", bench.list(&[Completed, Executing], Some("small"), None, None));
    all.insert("list by unknown queue", bench.list(&[], Some("nowhere"), None, None));
    all.insert("list by type before", bench.list(&[], None, Some("rare"), Some(1)));
    let reader = &bench.reader;
    for (name, tag, queue) in [
        ("list by tag", "common", None),
        ("list by rare tag", "rare", None),
        ("list by two", "common", Some("default")),
    ] {
        let filter =
            JobFilter { tag: Some(tag.to_owned()), queue: queue.map(str::to_owned), ..JobFilter::default() };
        all.insert(name, steps(|| drop(read::jobs(reader, &filter, 5).unwrap())));
    }
    all.insert("job", steps(|| drop(read::job(reader, one).unwrap())));
    all.insert("lookup", steps(|| drop(read::jobs_by_id(reader, &some).unwrap())));
    // Of the dead jobs there are as few as ever, and of their type, too.
    let query = CauseQuery { limit: 50, ..CauseQuery::default() };
    let mut causes = CausePage::default();
    all.insert("causes", steps(|| causes = dead_jobs::causes(reader, &query).unwrap()));
    let Some(group) = causes.causes.first() else { panic!("there are dead jobs") };
    let of_queue = CauseQuery { queue: Some("nowhere".to_owned()), ..query };
    all.insert("causes of a queue", steps(|| drop(dead_jobs::causes(reader, &of_queue).unwrap())));
    for (name, queue) in [("list by cause", None), ("list by cause and queue", Some("small".to_owned()))] {
        let cause = Some(group.key.cause.clone());
        let filter = JobFilter { cause, queue, ..JobFilter::default() };
        all.insert(name, steps(|| assert_eq!(read::jobs(reader, &filter, 5).unwrap().len(), 5)));
    }
    all.insert(
        "last success",
        steps(|| assert_eq!(dead_jobs::last_success(reader, group.sample).unwrap(), None)),
    );
    all.insert("edits", steps(|| drop(dead_jobs::edits(reader, group.sample).unwrap())));
    all.insert("bulks", steps(|| drop(bulk::read(reader, BulkSelection::Running, 5).unwrap())));
    let at = |position| LogCursor { epoch: 1, position };
    all.insert("log", steps(|| drop(read::events_after(reader, at(100), None, 5).unwrap())));
    all.insert("log of a job", steps(|| drop(read::events_after(reader, at(1), Some(one), 5).unwrap())));
    all.insert("recent events", steps(|| drop(read::recent_events(reader, None, 50).unwrap())));
    all.insert("recent events of a job", steps(|| drop(read::recent_events(reader, Some(one), 50).unwrap())));
    let totals = || assert!(read::totals(reader).unwrap().completed_jobs > 0);
    all.insert("totals", steps(totals));
    all.insert("queues", steps(|| drop(read::queues(reader).unwrap())));
    all.insert("sessions", steps(|| drop(read::open_sessions(reader).unwrap())));
    all.insert("enqueue", steps(|| drop(bench.apply((0..5).map(|_| job("common", "default")).collect()))));
    all.insert("claim", steps(|| drop(bench.claim("default", 5))));
    all.insert("finish", steps(|| bench.finish("default", 5, || AttemptEnd::Completed { result: None })));
    all.insert(
        "receive",
        steps(|| drop(bench.apply((0..5).map(|_| received("common", "default")).collect()))),
    );
    let session = bench.session;
    let claim = Operation::ClaimOut { queue: "default".to_owned(), limit: 2, session, most: u32::MAX };
    let mut out = Vec::new();
    all.insert("claim out", steps(|| out = bench.apply(vec![claim.clone()])));
    let Outcome::Claimed(out) = out.remove(0) else { panic!("it has no rate") };
    let leases: Vec<Lease> = out.iter().map(|job| Lease { id: job.id, token: job.token }).collect();
    let give = |lease: &Lease| Operation::HandOver { lease: *lease, visible_for: Duration::ZERO };
    all.insert("hand over", steps(|| drop(bench.apply(leases.iter().map(give).collect()))));
    let word = Operation::Hear(Box::new(OutsideWord {
        event: event(),
        job: leases[0].id,
        token: None,
        started_at: None,
        said: Said::Completed { result: None },
        served: Arc::default(),
    }));
    all.insert("hear", steps(|| drop(bench.apply(vec![word.clone()]))));
    let retry = RetryPlan { by_type: Arc::default(), other: RetryPolicy::Never, random: 0.5 };
    let lapse = Operation::Lapse { error: error(), retry, limit: 5, leader: 0 };
    all.insert("lapse", steps(|| drop(bench.apply(vec![lapse.clone()]))));
    let mut said = one;
    all.insert("report", steps(|| said = bench.report()));
    let reader = &bench.reader;
    let query = |attempt| JobLogQuery { attempt, limit: Some(5), after: None };
    all.insert("job that said", steps(|| drop(read::job(reader, said).unwrap())));
    all.insert("job's log", steps(|| drop(reports::job_log(reader, said, &query(None)).unwrap())));
    all.insert("attempt's log", steps(|| drop(reports::job_log(reader, said, &query(Some(1))).unwrap())));
    all.insert("promote", steps(|| drop(bench.apply(vec![Operation::Promote { limit: 5, leader: 0 }]))));
    all.insert("cancel", steps(|| drop(bench.apply(vec![Operation::Cancel { id: one }]))));
    let held = || Operation::ReleaseHeld {
        job_types: vec!["rare".to_owned()],
        queues: vec!["outside".to_owned()],
        limit: 5,
    };
    all.insert("release", steps(|| drop(bench.apply(vec![held()]))));
    all.insert("edges", steps(|| drop(edges::read(&bench.reader).unwrap())));
    let trip = EdgeState::Tripped { reason: None, lasting: None };
    for (name, state) in [("claim while tripped", trip), ("claim after a trip", EdgeState::Ready)] {
        let put = Operation::PutEdge { edge: "smtp".to_owned(), state, by: "test".to_owned() };
        bench.apply(vec![put]);
        bench.apply((0..10).map(|_| job("common", "default")).collect());
        all.insert(name, steps(|| drop(bench.claim("default", 5))));
    }
    all.insert("park", steps(|| drop(bench.apply(vec![Operation::Park { limit: 5, leader: 0 }]))));
    let fill = || Operation::DeadJobs(DeadJobsOperation::FillCauses { limit: 5, leader: 0 });
    all.insert("fill causes", steps(|| drop(bench.apply(vec![fill()]))));
    let session = bench.session;
    all.insert("renew", steps(|| drop(bench.work.renew(session).unwrap())));
    let rescue = Operation::Rescue {
        session,
        error: error(),
        limit: 2,
        idle_for: Some(Duration::ZERO),
        leader: Some(0),
        quarantine_after: 1,
    };
    all.insert("rescue", steps(|| drop(bench.apply(vec![rescue.clone()]))));
    let day = Duration::from_secs(86_400);
    let kept = Retention {
        completed: day,
        cancelled: day,
        discarded: day,
        events: day,
        events_max: u64::MAX,
        keys: day,
        inbox: day,
        inbox_max: u64::MAX,
        batch: 5,
    };
    let prune = |retention| Operation::Prune { retention, leader: 0 };
    all.insert("prune nothing", steps(|| drop(bench.apply(vec![prune(kept)]))));
    let gone = Retention { completed: Duration::ZERO, events: Duration::ZERO, ..kept };
    all.insert("prune", steps(|| drop(bench.apply(vec![prune(gone)]))));
    all
}

/// The steps of a claim, of a look for what is to be parked, and of that for a turn's oldest, with so many parked jobs at the
/// head of the queue and one behind them.
fn behind_parked(count: usize) -> [i64; 3] {
    let mut bench = Bench::new(200);
    let needing = || {
        let Operation::Enqueue(job) = job("common", "default") else { panic!("it stores a job") };
        Operation::Enqueue(Box::new(NewJob { needs: vec!["smtp".to_owned()], priority: 1, ..*job }))
    };
    let state = EdgeState::Tripped { reason: None, lasting: None };
    bench.apply(vec![Operation::PutEdge { edge: "smtp".to_owned(), state, by: "test".to_owned() }]);
    bench.apply((0..count).map(|_| needing()).collect());
    bench.apply(vec![Operation::Park { limit: u32::MAX, leader: 0 }]);
    [
        steps(|| assert_eq!(bench.claim("default", 1).len(), 1)),
        steps(|| drop(bench.apply(vec![Operation::Park { limit: 5, leader: 0 }]))),
        steps(|| drop(read::queues(&bench.reader).unwrap())),
    ]
}

#[test]
fn claims_do_not_step_over_parked_jobs() {
    let (few, many) = (behind_parked(50), behind_parked(3_000));
    for (few, many) in few.into_iter().zip(many) {
        assert!(
            few > 0 && many <= few + few / 2 + 100,
            "{few} steps behind 50 parked jobs, {many} behind 3000"
        );
    }
}

#[test]
fn no_statement_works_harder_on_a_larger_store() {
    let (small, large) = (measure(400), measure(6_000));
    let mut grown = Vec::new();
    for (name, few) in &small {
        let many = large[name];
        // A deeper tree costs a little, and pages differ in how full they are.
        if many > few + few / 2 + 100 {
            grown.push(format!("{name}: {few} steps with 400 jobs, {many} with 6000"));
        }
    }
    assert!(small.values().filter(|steps| **steps > 0).count() > 20, "{small:?}");
    assert!(grown.is_empty(), "{}", grown.join("\n"));
}

/// The steps of claims of a queue in which one key has so many jobs, and 30 others and none have some.
fn measure_turns(heavy: usize) -> BTreeMap<&'static str, i64> {
    let mut bench = Bench::new(0);
    let keyed = |key: Option<String>| {
        let Operation::Enqueue(mut job) = job("keyed", "small") else { unreachable!("it is one") };
        job.partition_key = key;
        Operation::Enqueue(job)
    };
    bench.apply((0..heavy).map(|_| keyed(Some("key 12 heavy".to_owned()))).collect());
    bench.apply((0..heavy).map(|_| keyed(None)).collect());
    bench.apply((0..300).map(|number| keyed(Some(format!("key {}", number % 30)))).collect());
    bench.claim("small", 150);
    let mut all = BTreeMap::new();
    all.insert("claim by turns", steps(|| assert_eq!(bench.claim("small", 5).len(), 5)));
    all.insert("oldest with keys", steps(|| drop(read::queues(&bench.reader).unwrap())));
    let rate = "100000/1m".parse().ok();
    let limits = QueueLimits {
        max_running: Some(Some(10_000)),
        max_running_per_key: Some(Some(1_000)),
        rate: Some(rate),
        rate_per_key: Some(rate),
    };
    let limit = || Operation::LimitQueue { queue: "small".to_owned(), limits };
    all.insert("limit", steps(|| drop(bench.apply(vec![limit()]))));
    all.insert("claim within limits", steps(|| assert_eq!(bench.claim("small", 5).len(), 5)));
    let now = Timestamp::now();
    let standing =
        || assert!(read::standing(&bench.reader, "small", Some("key 7"), now).unwrap().executing > 0);
    all.insert("standing", steps(standing));
    all
}

#[test]
fn no_claim_works_harder_on_what_one_key_has() {
    let (small, large) = (measure_turns(400), measure_turns(6_000));
    for (name, few) in &small {
        let many = large[name];
        assert!(
            *few > 0 && many <= few + few / 2 + 100,
            "{name}: {few} steps with 400 jobs, {many} with 6000"
        );
    }
}
