//! Looking after a store: what a check finds, and what a full disk leaves behind.

use std::sync::Arc;

use callboard_actors::cron::DueTime;
use callboard_actors::edges::store::{
    Operation, Outcome, PostgresOptions, PostgresStore, PostgresUpkeep, SqliteOptions, SqliteStore,
    SqliteUpkeep, Store, StoreError,
    cron::{CronOperation, NewCron},
    outside::{OutsideWord, ReceivedEvent, ReceivedJob, Said},
    queue_pause::QueueOperation,
    record::{AttemptEnd, IfTaken, NewJob, NewSession, QueueSettings, Uniqueness},
    report::{Report, ReportedLine, ReportedProgress, ReportedState},
    signals::{NewSignal, SignalOperation},
    transfer::{Check, TransferError},
    workflow::{NewStep, NewWorkflow, WorkflowOperation, WorkflowOutcome},
};
use callboard_contracts::{
    JobState, Timestamp,
    api::{
        AttemptError, CronDefinition, CronJob, ErrorKind, LogLevel, OnFailure, PauseCause, QueueCrash,
        QueueCrashes, QueuePause,
    },
};
use callboard_testsupport::Database;
use tempfile::TempDir;
use uuid::Uuid;

fn new_job(number: u32) -> NewJob {
    NewJob {
        id: Uuid::now_v7(),
        job_type: "noop".to_owned(),
        queue: "default".to_owned(),
        payload: format!("{{\"number\":{number},\"text\":\"{}\"}}", "x".repeat(500)),
        metadata: None,
        document: None,
        fingerprint: [7; 32],
        max_attempts: 3,
        timeout: std::time::Duration::from_secs(60),
        held: None,
        correlation_id: Uuid::now_v7(),
        event_id: Uuid::now_v7(),
        max_backlog: 1000,
        max_total: u64::MAX,
        needs: Vec::new(),
        scheduled_at: None,
        priority: 0,
        tags: vec!["a".to_owned()],
        partition_key: None,
        unique: None,
        trace: None,
    }
}

/// Makes an entry of the cron table, which waits for this time.
fn entry(due: Timestamp) -> Operation {
    let job = CronJob { job_type: "noop".to_owned(), ..CronJob::default() };
    let entry = NewCron {
        name: "nightly".to_owned(),
        definition: CronDefinition::new("30 2 * * *", job),
        next: Some(DueTime { due, fires_at: due }),
    };
    Operation::Cron(CronOperation::Put { entry: Box::new(entry), by: "me".to_owned() })
}

/// Stores 300 jobs, of which one is completed and one runs, a workflow of two, and an entry of the cron table.
async fn fill(store: Arc<dyn Store>) {
    let session =
        NewSession { id: Uuid::now_v7(), node: "a".to_owned(), version: "0".to_owned(), process: 1 };
    let enqueue = |number| Operation::Enqueue(Box::new(new_job(number)));
    let claim = Operation::Claim { queue: "default".to_owned(), limit: 2, session: session.id };
    store.apply(vec![Operation::OpenSession(session)]).await.unwrap();
    store.apply((0..300).map(enqueue).collect()).await.unwrap();
    store.apply(vec![entry(store.now())]).await.unwrap();
    let claimed = store.apply(vec![claim]).await.unwrap().remove(0).unwrap();
    let Outcome::Claimed(claimed) = claimed else { panic!("{claimed:?}") };
    let lease = callboard_actors::edges::store::record::Lease { id: claimed[0].id, token: claimed[0].token };
    let end = AttemptEnd::Completed { result: Some("1".to_owned()) };
    let ended =
        store.apply(vec![Operation::Finish { lease, started_at: Some(store.now()), end }]).await.unwrap();
    assert!(matches!(ended[0], Ok(Outcome::Finished { .. })), "{ended:?}");
    let step = |name: &str| NewStep {
        name: name.to_owned(),
        on_failure: OnFailure::Fail,
        job: NewJob { tags: Vec::new(), ..new_job(300) },
    };
    let workflow = NewWorkflow {
        id: Uuid::now_v7(),
        name: None,
        fingerprint: [7; 32],
        steps: vec![step("a"), step("b")],
        edges: vec![(0, 1)],
        on_end: None,
    };
    let submit = Operation::Workflow(WorkflowOperation::Submit(Box::new(workflow)));
    let stored = store.apply(vec![submit]).await.unwrap();
    assert!(matches!(stored[0], Ok(Outcome::Workflow(WorkflowOutcome::Stored { .. }))), "{stored:?}");
}

async fn sqlite(folder: &TempDir) -> SqliteOptions {
    let options =
        SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join("callboard.db")) };
    fill(SqliteStore::open(options.clone()).unwrap()).await;
    options
}

/// The names of the checks that found something, and what.
fn found(checks: Vec<Check>) -> Vec<(&'static str, usize)> {
    checks
        .into_iter()
        .filter(|check| !check.is_well())
        .map(|check| (check.name, check.problems.len()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_file_finds_what_must_not_be() {
    let folder = TempDir::new().unwrap();
    let options = sqlite(&folder).await;
    let upkeep = SqliteUpkeep::new(options.clone());
    assert_eq!(found(upkeep.check().unwrap()), []);
    for (damage, expected) in [
        ("UPDATE totals SET count = count + 1 WHERE state = 2", vec![("totals", 1)]),
        ("DELETE FROM totals WHERE state = 5", vec![("totals", 1)]),
        (
            "INSERT INTO attempts SELECT x'00', number, token, outcome, node, claimed_at, started_at, finished_at, error FROM attempts",
            vec![("attempts", 1)],
        ),
        ("DELETE FROM events WHERE position = 17", vec![("log", 1)]),
        ("DELETE FROM events WHERE position > 250", vec![("log's end", 1)]),
        ("UPDATE sessions SET closed_at = 1", vec![("executing jobs", 1)]),
        (
            "UPDATE jobs SET session = x'ffffffffffffffffffffffffffffffff' WHERE state = 3",
            vec![("attempts outside", 1)],
        ),
        ("UPDATE jobs SET finished_at = 1 WHERE state = 2 AND sequence < 50", vec![("states", 10)]),
        ("UPDATE jobs SET token = 1000 WHERE sequence = 5", vec![("tokens", 1)]),
        ("DELETE FROM job_tags WHERE sequence = 5", vec![("tags", 1)]),
        ("UPDATE jobs SET payload = '{' WHERE sequence = 5", vec![("JSON", 1)]),
        (
            "INSERT INTO attempt_reports VALUES (randomblob(16), 1, 1, NULL, NULL, NULL, NULL, NULL)",
            vec![("reports", 1)],
        ),
        (
            "INSERT INTO job_signals VALUES (randomblob(16), 1, randomblob(16), 'a', '1', 'x', 1, NULL, NULL, NULL)",
            vec![("signals", 1)],
        ),
        ("INSERT INTO attempt_log VALUES (randomblob(16), 1, 1, 1, 1, 'x')", vec![("reports", 1)]),
        ("UPDATE cron SET definition = '{'", vec![("cron", 1)]),
        ("UPDATE cron SET fires_at = NULL", vec![("cron", 1)]),
        (
            "INSERT INTO job_edits VALUES (randomblob(16), randomblob(16), NULL, NULL, 'x', 1)",
            vec![("edits", 1)],
        ),
        ("DELETE FROM settings WHERE key = 'epoch'", vec![("epoch", 1)]),
        ("UPDATE workflows SET waiting = 7", vec![("workflows", 1)]),
        ("UPDATE workflow_steps SET job = randomblob(16) WHERE number = 1", vec![("workflows", 1)]),
        ("UPDATE jobs SET workflow = randomblob(16) WHERE sequence = 5", vec![("workflows", 1)]),
    ] {
        let copy = folder.path().join("copy.db");
        upkeep.backup(&copy, &mut |_, _| {}).unwrap();
        rusqlite::Connection::open(&copy).unwrap().execute_batch(damage).unwrap();
        let damaged = SqliteUpkeep::new(SqliteOptions { path: copy.clone(), ..options.clone() });
        assert_eq!(found(damaged.check().unwrap()), expected, "{damage}");
        std::fs::remove_file(copy).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_of_a_database_finds_what_must_not_be() {
    let database = Database::create();
    let options = PostgresOptions::new(database.url());
    let (opened, of_store) = (options.clone(), options.clone());
    let store = tokio::task::spawn_blocking(move || PostgresStore::open(opened).unwrap()).await.unwrap();
    fill(store.clone()).await;
    let mut committed = store.committed();
    // 302 were created, two validated, one executed and completed.
    let all = committed.wait_for(|newest| newest.position >= 306);
    tokio::time::timeout(std::time::Duration::from_secs(30), all).await.unwrap().unwrap();
    tokio::task::spawn_blocking(move || drop(store)).await.unwrap();
    let upkeep = PostgresUpkeep::new(of_store);
    let check = || {
        let upkeep = upkeep.clone();
        std::thread::spawn(move || found(upkeep.check().unwrap())).join().unwrap()
    };
    assert_eq!(check(), []);
    for (damage, repair, expected) in [
        (
            "UPDATE totals SET count = count + 1 WHERE state = 2",
            "UPDATE totals SET count = count - 1 WHERE state = 2",
            vec![("totals", 1)],
        ),
        (
            "UPDATE job_bodies SET type = 'x' WHERE sequence < 50",
            "UPDATE job_bodies SET type = 'noop'",
            vec![("jobs", 10)],
        ),
        (
            "INSERT INTO attempts SELECT gen_random_uuid(), number, token, outcome, node, claimed_at, started_at, finished_at, error FROM attempts",
            "DELETE FROM attempts WHERE job NOT IN (SELECT id FROM jobs)",
            vec![("attempts", 1)],
        ),
        (
            "INSERT INTO attempt_log VALUES (gen_random_uuid(), 1, 1, 1, 1, 'x'), (gen_random_uuid(), 1, 1, 1, 1, 'x')",
            "DELETE FROM attempt_log",
            vec![("reports", 2)],
        ),
        (
            "INSERT INTO job_signals VALUES (gen_random_uuid(), 1, gen_random_uuid(), 'a', '1', 'x', 1, NULL, NULL, NULL)",
            "DELETE FROM job_signals",
            vec![("signals", 1)],
        ),
        (
            "INSERT INTO job_edits VALUES (gen_random_uuid(), gen_random_uuid(), NULL, NULL, 'x', 1)",
            "DELETE FROM job_edits",
            vec![("edits", 1)],
        ),
        (
            "UPDATE events SET batch = 999 WHERE type = 1 AND number = 0",
            "UPDATE events SET batch = (SELECT batch FROM event_batches AS b WHERE size > (SELECT count(*) FROM events AS e WHERE e.batch = b.batch)) WHERE batch = 999",
            vec![("log's batches", 2)],
        ),
        (
            "UPDATE event_batches SET first_position = first_position + 1 WHERE first_position > 1",
            "UPDATE event_batches SET first_position = first_position - 1 WHERE first_position > 1",
            vec![("log", 1), ("log's end", 1)],
        ),
        (
            "UPDATE sessions SET closed_at = 1",
            "UPDATE sessions SET closed_at = NULL",
            vec![("executing jobs", 1)],
        ),
        (
            "UPDATE jobs SET session = 'ffffffff-ffff-ffff-ffff-ffffffffffff' WHERE state = 3",
            "UPDATE jobs SET session = sessions.id FROM sessions WHERE state = 3",
            vec![("attempts outside", 1)],
        ),
        (
            "UPDATE jobs SET finished_at = 1 WHERE state = 2",
            "UPDATE jobs SET finished_at = NULL WHERE state = 2",
            vec![("states", 10)],
        ),
        (
            "UPDATE jobs SET token = 1000 WHERE token = 1",
            "UPDATE jobs SET token = 1 WHERE token = 1000",
            vec![("tokens", 1)],
        ),
        (
            "UPDATE job_tags SET tag = 'b' WHERE sequence = 5",
            "UPDATE job_tags SET tag = 'a'",
            vec![("tags", 2)],
        ),
        ("UPDATE workflows SET waiting = 7", "UPDATE workflows SET waiting = 1", vec![("workflows", 1)]),
        (
            "UPDATE jobs SET workflow = gen_random_uuid() WHERE token = 1",
            "UPDATE jobs SET workflow = NULL WHERE token = 1",
            vec![("workflows", 1)],
        ),
        ("UPDATE cron SET paused_at = 1", "UPDATE cron SET paused_at = NULL", vec![("cron", 1)]),
    ] {
        database.psql(&format!(
            "SET search_path TO callboard; SET session_replication_role TO replica; {damage}"
        ));
        assert_eq!(check(), expected, "{damage}");
        database.psql(&format!("SET search_path TO callboard; {repair}"));
    }
    assert_eq!(check(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_leaves_no_half_of_a_copy() {
    let folder = TempDir::new().unwrap();
    let options = sqlite(&folder).await;
    let mut export = Vec::new();
    SqliteUpkeep::new(options.clone()).export(true, &mut export, &mut |_| {}).unwrap();
    let small = |name: &str| {
        let path = folder.path().join(name);
        SqliteUpkeep::new(SqliteOptions { path, max_pages: Some(40), ..options.clone() })
    };
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    let error = small("callboard.db").backup(&folder.path().join("copy"), &mut |_, _| {}).unwrap_err();
    assert!(matches!(error, TransferError::Store(StoreError::DiskFull(_))), "{error}");
    let before = files();
    let error = small("other.db").import(&mut &export[..], &mut |_| {}).unwrap_err();
    assert!(matches!(error, TransferError::Store(StoreError::DiskFull(_))), "{error}");
    assert!(!folder.path().join("other.db").exists());
    // The lock stays, as it does for every file.
    assert_eq!(files(), before + 1);
}

/// The lines of an export that tell of jobs, and of their progress.
fn said(export: &[u8]) -> Vec<serde_json::Value> {
    let lines = export.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
    lines
        .filter(|line| {
            line.get("job").is_some()
                || line.get("cron").is_some()
                || line.get("report").is_some()
                || line.get("signal").is_some()
                || line["event"].get("progress").is_some()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_said_moves_with_their_jobs_from_one_database_to_the_other_and_back() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join(name)) };
    let store = SqliteStore::open(at("first.db")).unwrap();
    let session =
        NewSession { id: Uuid::now_v7(), node: "a".to_owned(), version: "0".to_owned(), process: 1 };
    let claim = Operation::Claim { queue: "default".to_owned(), limit: 2, session: session.id };
    let enqueue = |number| Operation::Enqueue(Box::new(new_job(number)));
    store.apply(vec![Operation::OpenSession(session), enqueue(0), enqueue(1), enqueue(2)]).await.unwrap();
    store.apply(vec![entry(store.now())]).await.unwrap();
    let run = CronOperation::Run { name: "nightly".to_owned(), revision: 1, job: Box::new(new_job(3)) };
    store.apply(vec![Operation::Cron(run)]).await.unwrap();
    let claimed = store.apply(vec![claim]).await.unwrap().remove(0).unwrap();
    let Outcome::Claimed(claimed) = claimed else { panic!("{claimed:?}") };
    for (job, message) in claimed.iter().zip([None, Some("half \"way\"".to_owned())]) {
        let now = store.now();
        let line = |number, text: &str| ReportedLine {
            number,
            at: now,
            level: LogLevel::Stderr,
            text: text.to_owned(),
        };
        let report = Report {
            lease: callboard_actors::edges::store::record::Lease { id: job.id, token: job.token },
            started_at: Some(now),
            first: true,
            progress: Some(ReportedProgress { fraction: 0.25, message, at: now }),
            lines: vec![line(1, "one"), line(2, "\u{1b}\n{\"two\":2}"), line(9, "")],
            published: Some(ReportedState { value: r#"{"at": [1, null]}"#.to_owned(), at: now }),
            taken: vec![1],
            forget: None,
        };
        let end = AttemptEnd::Completed { result: None };
        let lease = report.lease;
        let finish = Operation::Finish { lease, started_at: None, end };
        let send = |value: &str| {
            let (name, by) = ("approve".to_owned(), "a\nb".to_owned());
            let signal = NewSignal { job: job.id, id: Uuid::now_v7(), name, value: value.to_owned(), by };
            Operation::Signals(SignalOperation::Send(Box::new(signal)))
        };
        let done = Operation::Signals(SignalOperation::Acknowledge { lease, number: 2 });
        let batch =
            vec![send("{\"a\":[1.0]}"), send("null"), done, Operation::Report(Box::new(report)), finish];
        let outcomes = store.apply(batch).await.unwrap();
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
    drop(store);
    let database = Database::create();
    let url = database.url().to_owned();
    let (first, back) = (at("first.db"), at("back.db"));
    let moved = std::thread::spawn(move || {
        let quiet = &mut |_| {};
        let (mut one, mut two, mut three) = (Vec::new(), Vec::new(), Vec::new());
        SqliteUpkeep::new(first).export(true, &mut one, quiet).unwrap();
        let postgres = PostgresUpkeep::new(PostgresOptions::new(url));
        postgres.import(&mut &one[..], quiet).unwrap();
        postgres.export(true, &mut two, quiet).unwrap();
        SqliteUpkeep::new(back.clone()).import(&mut &two[..], quiet).unwrap();
        SqliteUpkeep::new(back).export(true, &mut three, quiet).unwrap();
        [one, two, three]
    });
    let [one, two, three] = moved.join().unwrap().map(|export| said(&export));
    assert_eq!(one.len(), 1 + 4 + 2 + 2 + 4 + 4);
    assert_eq!(one[2]["report"]["lines"].as_array().unwrap().len(), 3);
    assert_eq!(one[2]["report"]["published"]["value"], serde_json::json!({ "at": [1, null] }));
    let signal = &one[3]["signal"];
    assert_eq!((&signal["number"], &signal["taken_by"]), (&1.into(), &1.into()));
    assert_eq!(signal["value"].to_string(), "{\"a\":[1.0]}");
    assert!(one[4]["signal"]["acknowledged_at"].is_string());
    assert_eq!(one[6]["report"]["progress"]["message"], "half \"way\"");
    assert_eq!(one, two);
    assert_eq!(one, three);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_were_dealt_with_are_known_after_a_move_and_attempts_outside_are_handed_back() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join(name)) };
    let store = SqliteStore::open(at("first.db")).unwrap();
    let session =
        NewSession { id: Uuid::now_v7(), node: "a".to_owned(), version: "0".to_owned(), process: 1 };
    let event =
        ReceivedEvent { id: Uuid::now_v7(), occurred_at: store.now(), producer: "gateway/\u{0}1".to_owned() };
    let received = ReceivedJob { event: event.clone(), job: NewJob { event_id: event.id, ..new_job(0) } };
    let receive = Operation::ReceiveJob(Box::new(received.clone()));
    let claim = Operation::ClaimOut { queue: "default".to_owned(), limit: 1, session: session.id, most: 1 };
    let mut outcomes =
        store.apply(vec![Operation::OpenSession(session), receive.clone(), claim]).await.unwrap();
    let Ok(Outcome::Claimed(claimed)) = outcomes.pop().unwrap() else { panic!("{outcomes:?}") };
    let lease = callboard_actors::edges::store::record::Lease { id: claimed[0].id, token: claimed[0].token };
    let give = Operation::HandOver { lease, visible_for: std::time::Duration::from_secs(60) };
    assert_eq!(store.apply(vec![give]).await.unwrap(), [Ok(Outcome::HandedOver)]);
    drop(store);
    let done = Operation::Hear(Box::new(OutsideWord {
        event: ReceivedEvent { id: Uuid::now_v7(), ..event },
        job: lease.id,
        token: Some(lease.token),
        started_at: None,
        said: Said::Completed { result: None },
        served: std::sync::Arc::new([("default".to_owned(), std::time::Duration::from_secs(60))].into()),
    }));
    let database = Database::create();
    let options = PostgresOptions::new(database.url());
    let (first, back, to) = (at("first.db"), at("back.db"), options.clone());
    let moved = std::thread::spawn(move || {
        let quiet = &mut |_| {};
        let (mut one, mut two) = (Vec::new(), Vec::new());
        SqliteUpkeep::new(first).export(true, &mut one, quiet).unwrap();
        let postgres = PostgresUpkeep::new(to.clone());
        postgres.import(&mut &one[..], quiet).unwrap();
        assert_eq!(found(postgres.check().unwrap()), []);
        postgres.export(true, &mut two, quiet).unwrap();
        SqliteUpkeep::new(back.clone()).import(&mut &two[..], quiet).unwrap();
        assert_eq!(found(SqliteUpkeep::new(back).check().unwrap()), []);
        PostgresStore::open(to).unwrap()
    });
    let moved = moved.join().unwrap();
    for store in [moved.clone() as Arc<dyn Store>, SqliteStore::open(at("back.db")).unwrap()] {
        let outcomes = store.apply(vec![receive.clone(), done.clone()]).await.unwrap();
        assert_eq!(outcomes, [Ok(Outcome::Seen), Ok(Outcome::Stale)]);
        let job = store.job(lease.id).await.unwrap().unwrap();
        assert_eq!((job.job.state, job.job.attempt), (JobState::Available, 0));
    }
    tokio::task::spawn_blocking(move || drop(moved)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_place_of_its_kind_has_it_after_a_move() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join(name)) };
    let only = |number: u32, key: u8, period: Option<std::time::Duration>| {
        let states = [JobState::Available, JobState::Cancelled].into_iter().collect();
        let unique = Uniqueness { key: [key; 32], states, period, if_taken: IfTaken::Refuse };
        NewJob { unique: Some(unique), ..new_job(number) }
    };
    let enqueue = |job: &NewJob| Operation::Enqueue(Box::new(job.clone()));
    let store = SqliteStore::open(at("first.db")).unwrap();
    let hour = Some(std::time::Duration::from_secs(3600));
    let (first, second, none) = (only(0, 1, None), only(1, 2, hour), new_job(2));
    let stored = store.apply([&first, &second, &none].map(enqueue).to_vec()).await.unwrap();
    assert!(stored.iter().all(|outcome| matches!(outcome, Ok(Outcome::Enqueued { .. }))), "{stored:?}");
    drop(store);
    let database = Database::create();
    let options = PostgresOptions::new(database.url());
    let (from, back, to) = (at("first.db"), at("back.db"), options.clone());
    let moved = std::thread::spawn(move || {
        let quiet = &mut |_| {};
        let (mut one, mut two) = (Vec::new(), Vec::new());
        SqliteUpkeep::new(from).export(true, &mut one, quiet).unwrap();
        PostgresUpkeep::new(to.clone()).import(&mut &one[..], quiet).unwrap();
        PostgresUpkeep::new(to.clone()).export(true, &mut two, quiet).unwrap();
        SqliteUpkeep::new(back).import(&mut &two[..], quiet).unwrap();
        PostgresStore::open(to).unwrap()
    });
    let moved = moved.join().unwrap();
    for store in [moved.clone() as Arc<dyn Store>, SqliteStore::open(at("back.db")).unwrap()] {
        let outcomes =
            store.apply([(3, 1), (4, 2), (5, 3)].map(|(n, key)| enqueue(&only(n, key, None))).to_vec());
        let state = JobState::Available;
        let expected = [
            Ok(Outcome::NotUnique { id: first.id, state }),
            Ok(Outcome::NotUnique { id: second.id, state }),
            Ok(Outcome::Enqueued { state }),
        ];
        assert_eq!(outcomes.await.unwrap(), expected);
    }
    tokio::task::spawn_blocking(move || drop(moved)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_moves_from_one_database_to_the_other_and_goes_on_there() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join(name)) };
    let session =
        NewSession { id: Uuid::now_v7(), node: "a".to_owned(), version: "0".to_owned(), process: 1 };
    let queue = "steps";
    let job = |number| NewJob { queue: queue.to_owned(), tags: Vec::new(), ..new_job(number) };
    let step = |number: u32| NewStep {
        name: format!("step {number}"),
        on_failure: if number == 0 { OnFailure::Continue } else { OnFailure::Fail },
        job: job(number),
    };
    let workflow = NewWorkflow {
        id: Uuid::now_v7(),
        name: Some("moved".to_owned()),
        fingerprint: [9; 32],
        steps: (0..3).map(step).collect(),
        edges: vec![(0, 1), (0, 2), (1, 2)],
        on_end: Some(job(9)),
    };
    let id = workflow.id;
    let store = SqliteStore::open(at("first.db")).unwrap();
    let submit = Operation::Workflow(WorkflowOperation::Submit(Box::new(workflow.clone())));
    let claim = || Operation::Claim { queue: queue.to_owned(), limit: 9, session: session.id };
    let mut outcomes =
        store.apply(vec![Operation::OpenSession(session.clone()), submit.clone(), claim()]).await.unwrap();
    let Ok(Outcome::Claimed(claimed)) = outcomes.pop().unwrap() else { panic!("{outcomes:?}") };
    // It has ended, and nobody has told of it.
    let lease = callboard_actors::edges::store::record::Lease { id: claimed[0].id, token: claimed[0].token };
    let end = AttemptEnd::Failed { error: error(), retry_at: None };
    store.apply(vec![Operation::Finish { lease, started_at: None, end }]).await.unwrap();
    let before = store.workflow(id).await.unwrap().unwrap();
    drop(store);
    let database = Database::create();
    let options = PostgresOptions::new(database.url());
    let (first, back, to) = (at("first.db"), at("back.db"), options.clone());
    let exports = std::thread::spawn(move || {
        let quiet = &mut |_| {};
        let (mut one, mut two, mut three) = (Vec::new(), Vec::new(), Vec::new());
        SqliteUpkeep::new(first).export(true, &mut one, quiet).unwrap();
        let postgres = PostgresUpkeep::new(to);
        postgres.import(&mut &one[..], quiet).unwrap();
        assert_eq!(found(postgres.check().unwrap()), []);
        postgres.export(true, &mut two, quiet).unwrap();
        SqliteUpkeep::new(back.clone()).import(&mut &two[..], quiet).unwrap();
        assert_eq!(found(SqliteUpkeep::new(back.clone()).check().unwrap()), []);
        SqliteUpkeep::new(back).export(true, &mut three, quiet).unwrap();
        [one, two, three].map(|export| workflows(&export))
    });
    let [one, two, three] = exports.join().unwrap();
    assert_eq!(one.len(), 1);
    assert_eq!((&one, &one), (&two, &three));
    let store = SqliteStore::open(at("back.db")).unwrap();
    let after = store.workflow(id).await.unwrap().unwrap();
    assert_eq!((after.counts, after.name, after.on_end), (before.counts, before.name, before.on_end));
    let again = store.apply(vec![submit]).await.unwrap();
    assert_eq!(again, [Ok(Outcome::Workflow(WorkflowOutcome::Duplicate { steps: 3 }))]);
    // Whoever leads there finds what has ended.
    let ended = store.ended_steps(Uuid::nil(), 100).await.unwrap();
    assert_eq!((&ended.jobs[..], ended.next), (&[lease.id][..], None));
    let advance = WorkflowOperation::Advance { jobs: ended.jobs, limit: 100, leader: 0 };
    store.apply(vec![Operation::Workflow(advance)]).await.unwrap();
    let session = NewSession { id: Uuid::now_v7(), ..session };
    let claim = Operation::Claim { queue: queue.to_owned(), limit: 9, session: session.id };
    let mut outcomes = store.apply(vec![Operation::OpenSession(session), claim]).await.unwrap();
    let Ok(Outcome::Claimed(claimed)) = outcomes.pop().unwrap() else { panic!("{outcomes:?}") };
    assert_eq!(claimed.iter().map(|job| job.id).collect::<Vec<_>>(), [workflow.steps[1].job.id]);
}

fn error() -> AttemptError {
    AttemptError { kind: ErrorKind::Failed, message: "no".to_owned(), backtrace: None, is_final: true }
}

/// The lines of an export that tell of workflows.
fn workflows(export: &[u8]) -> Vec<serde_json::Value> {
    let lines = export.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
    lines.filter(|line| line.get("workflow").is_some()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn why_a_queue_is_paused_moves_with_it_from_one_database_to_the_other_and_back() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| SqliteOptions { min_free_space: 0, ..SqliteOptions::new(folder.path().join(name)) };
    let store = SqliteStore::open(at("first.db")).unwrap();
    let queue = |name: &str| QueueSettings { name: name.to_owned(), concurrency: 5, max_backlog: 10 };
    let known = Operation::PutQueues(["asked", "crashed", "works"].map(queue).to_vec());
    let asked = QueuePause {
        cause: PauseCause::Requested,
        by: "ci".to_owned(),
        reason: Some("it's \"moved\" \u{1b}\n\u{0}".to_owned()),
        crashes: None,
    };
    let last = QueueCrash {
        at: store.now(),
        job: Some(Uuid::now_v7()),
        job_type: Some("noop".to_owned()),
        attempt: Some(3),
        kind: None,
        actor: None,
        message: String::new(),
    };
    let crashed = QueuePause {
        cause: PauseCause::JobCrashes,
        reason: None,
        crashes: Some(QueueCrashes { node: "a".to_owned(), count: 3, within_ms: 60_000, last }),
        ..asked.clone()
    };
    let pause = |queue: &str, pause: &QueuePause| {
        let pause = Box::new(pause.clone());
        Operation::Queue(QueueOperation::Pause { queue: queue.to_owned(), pause })
    };
    store.apply(vec![known, pause("asked", &asked), pause("crashed", &crashed)]).await.unwrap();
    let paused = async |store: &dyn Store| {
        let queues = store.queues().await.unwrap();
        queues.into_iter().map(|(_, totals)| (totals.paused_at, totals.pause)).collect::<Vec<_>>()
    };
    let before = paused(&*store).await;
    assert_eq!(
        before.iter().map(|(_, pause)| pause.clone()).collect::<Vec<_>>(),
        [Some(asked), Some(crashed), None]
    );
    drop(store);
    let database = Database::create();
    let (first, back, url) = (at("first.db"), at("back.db"), database.url().to_owned());
    let moved = std::thread::spawn(move || {
        let quiet = &mut |_| {};
        let (mut one, mut two) = (Vec::new(), Vec::new());
        SqliteUpkeep::new(first).export(true, &mut one, quiet).unwrap();
        let postgres = PostgresUpkeep::new(PostgresOptions::new(url));
        postgres.import(&mut &one[..], quiet).unwrap();
        assert_eq!(found(postgres.check().unwrap()), []);
        postgres.export(true, &mut two, quiet).unwrap();
        SqliteUpkeep::new(back).import(&mut &two[..], quiet).unwrap();
    });
    moved.join().unwrap();
    let store = SqliteStore::open(at("back.db")).unwrap();
    assert_eq!(paused(&*store).await, before);
}
