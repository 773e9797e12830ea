//! What trouble does to batches: they are done once and whole, or not at all, and whoever asked hears which.

use std::time::{Duration, Instant};

use callboard_actors::edges::store::{
    Leadership, Operation, Outcome, PostgresOptions, PostgresStore, Store, StoreError,
    dead_jobs::{DeadJobsOperation, EditNote, EditedReplay, NewPayload},
    record::{AttemptEnd, NewJob},
    workflow::{NewStep, NewWorkflow, WorkflowOperation},
};
use callboard_contracts::{
    JobState,
    api::{AttemptError, OnFailure},
};
use sqlx::Connection;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    proxy::{Cut, Proxy},
    support::{
        PATIENCE, Stage, apply, claim, claimed, complete, enqueue, job, lease, log_of, lost, one, open,
        record, session, state, until_position,
    },
};

#[tokio::test]
async fn a_batch_whose_connection_is_lost_at_its_commit_is_done_once() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let stage = Stage::new().await;
        let proxy = Proxy::to(stage.database.url()).await;
        let store = open(PostgresOptions { url: proxy.url().into(), ..stage.options("one") }).await.unwrap();
        let (first, second) = (job(), job());
        apply(&store, vec![enqueue(&first)]).await;
        let session = session(&store).await;
        let leased = claimed(&store, 1, session).await.remove(0);

        proxy.cut(cut, second.id.as_bytes());
        let batch = vec![enqueue(&second), complete(&leased)];
        let outcomes = apply(&store, batch.clone()).await;
        assert!(proxy.has_cut());
        let available = Outcome::Enqueued { state: JobState::Available };
        assert_eq!(outcomes, [available, Outcome::Finished { state: JobState::Completed }], "{cut:?}");
        // Told again, nothing more comes of it.
        let outcomes = apply(&store, batch).await;
        assert!(matches!(outcomes[0], Outcome::Duplicate { event_id, .. } if event_id == second.event_id));
        assert_eq!(outcomes[1], Outcome::Finished { state: JobState::Completed });

        // Three events of the job that ran and its creation, one of the other.
        assert_eq!(log_of(&store, 5).await.len(), 5, "{cut:?}");
        assert_eq!(stage.number("SELECT sum(count)::bigint FROM totals WHERE state = 5").await, 1);
        assert_eq!(stage.number("SELECT count(*) FROM attempts").await, 1);
        assert_eq!(stage.number("SELECT count(*) FROM event_batches WHERE first_position IS NULL").await, 0);
    }
}

#[tokio::test]
async fn jobs_whose_claim_loses_its_answer_are_not_left_to_nobody() {
    for cut in [Cut::BeforeCommit, Cut::AfterCommit] {
        let stage = Stage::new().await;
        let proxy = Proxy::to(stage.database.url()).await;
        let store = open(PostgresOptions { url: proxy.url().into(), ..stage.options("one") }).await.unwrap();
        let new = job();
        apply(&store, vec![enqueue(&new)]).await;
        let session = session(&store).await;
        proxy.cut(cut, session.as_bytes());
        let jobs = claimed(&store, 1, session).await;
        assert!(proxy.has_cut());
        assert_eq!(jobs.iter().map(|job| job.id).collect::<Vec<_>>(), [new.id], "{cut:?}");
        assert_eq!(one(&store, complete(&jobs[0])).await, Outcome::Finished { state: JobState::Completed });
        assert_eq!(record(&store, new.id).await.attempt, 1);
    }
}

#[tokio::test]
async fn a_deadlock_is_fought_out_and_both_sides_get_what_they_wanted() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let (first, second) = (job(), job());
    assert!(first.id < second.id);
    apply(&store, vec![enqueue(&first), enqueue(&second)]).await;
    // Somebody else locks in the other order.
    let mut connection = stage.connect().await;
    let mut other = connection.begin().await.unwrap();
    let lock = "SELECT FROM jobs WHERE id = $1 FOR UPDATE";
    sqlx::query(lock).bind(second.id).fetch_one(&mut *other).await.unwrap();
    let batch = vec![Operation::Cancel { id: first.id }, Operation::Cancel { id: second.id }];
    let cancelled = store.apply(batch);
    stage.until_blocked("one").await;
    // The store has waited longer, so it is the one that finds out and gives way.
    sqlx::query(lock).bind(first.id).fetch_one(&mut *other).await.unwrap();
    sqlx::query("UPDATE jobs SET priority = 7").execute(&mut *other).await.unwrap();
    other.commit().await.unwrap();
    assert_eq!(cancelled.await.unwrap(), [Ok(Outcome::Cancelled), Ok(Outcome::Cancelled)]);
    assert_eq!(stage.number("SELECT count(*) FROM jobs WHERE priority = 7 AND state = 6").await, 2);
    assert_eq!(log_of(&store, 4).await.len(), 4);
}

/// Makes writes of jobs fail with `code` for the first `times` times.
async fn fail(stage: &Stage, code: &str, times: u32) {
    let statements = format!(
        "CREATE SEQUENCE callboard.failures;
         CREATE FUNCTION callboard.fail() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
            IF nextval('callboard.failures') <= {times} THEN
                RAISE EXCEPTION 'not this time' USING ERRCODE = '{code}';
            END IF;
            RETURN NEW;
         END $$;
         CREATE TRIGGER fail BEFORE INSERT ON callboard.jobs FOR EACH ROW EXECUTE FUNCTION callboard.fail()"
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statements)).execute(&mut stage.connect().await).await.unwrap();
}

#[tokio::test]
async fn who_loses_against_others_tries_again_and_not_for_ever() {
    for code in ["40001", "40P01"] {
        let stage = Stage::new().await;
        let store = stage.open("one").await;
        fail(&stage, code, 3).await;
        let jobs = [job(), job()];
        let outcomes = apply(&store, jobs.iter().map(enqueue).collect()).await;
        assert_eq!(outcomes, vec![Outcome::Enqueued { state: JobState::Available }; 2]);
        assert_eq!(log_of(&store, 2).await.len(), 2);
        assert_eq!(stage.number("SELECT last_value FROM failures").await, 5);

        let stage = Stage::new().await;
        let store = stage.open("one").await;
        fail(&stage, code, 1_000_000).await;
        let answer = timeout(PATIENCE, store.apply(vec![enqueue(&job())])).await.unwrap();
        assert!(matches!(answer, Err(StoreError::Failed(_) | StoreError::Locked(_))), "{answer:?}");
        assert!(stage.number("SELECT last_value FROM failures").await > 3);
        assert_eq!(
            stage.number("SELECT (SELECT count(*) FROM jobs) + (SELECT count(*) FROM events)").await,
            0
        );
    }
}

#[tokio::test]
async fn a_member_that_cannot_be_written_fails_alone() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let jobs: Vec<NewJob> = (0..9).map(|_| job()).collect();
    let statement = format!("ALTER TABLE callboard.jobs ADD CHECK (id <> '{}')", jobs[4].id);
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut stage.connect().await).await.unwrap();
    let answers = store.apply(jobs.iter().map(enqueue).collect()).await.unwrap();
    for (number, answer) in answers.iter().enumerate() {
        assert_eq!(answer.is_err(), number == 4, "{number}: {answer:?}");
    }
    assert_eq!(log_of(&store, 8).await.len(), 8);
    assert_eq!(stage.number("SELECT sum(count)::bigint FROM totals").await, 8);
}

#[tokio::test]
async fn text_that_the_database_cannot_hold_does_not_keep_an_attempt_from_ending() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    apply(&store, vec![enqueue(&job())]).await;
    let session = session(&store).await;
    let leased = claimed(&store, 1, session).await.remove(0);
    let error = AttemptError { message: "a\0b".into(), ..lost() };
    let end = AttemptEnd::Failed { error, retry_at: None };
    let finish = Operation::Finish { lease: lease(&leased), started_at: None, end };
    assert_eq!(one(&store, finish).await, Outcome::Finished { state: JobState::Discarded });
    assert_eq!(record(&store, leased.id).await.last_error.as_deref(), Some("a\u{fffd}b"));
}

#[tokio::test]
async fn who_waits_too_long_for_a_lock_is_told_so_and_others_go_on() {
    let stage = Stage::new().await;
    let options = PostgresOptions { lock_timeout: Duration::from_millis(200), ..stage.options("one") };
    let store = open(options).await.unwrap();
    let held = job();
    apply(&store, vec![enqueue(&held)]).await;
    let mut connection = stage.connect().await;
    let mut other = connection.begin().await.unwrap();
    sqlx::query("SELECT FROM jobs FOR UPDATE").fetch_all(&mut *other).await.unwrap();
    let began = Instant::now();
    let cancel = store.apply(vec![Operation::Cancel { id: held.id }]);
    let meanwhile = apply(&store, vec![enqueue(&job())]);
    let (cancel, meanwhile) = tokio::join!(cancel, meanwhile);
    assert!(matches!(cancel, Err(StoreError::Locked(_))), "{cancel:?}");
    assert!(began.elapsed() < PATIENCE / 4);
    assert_eq!(meanwhile, [Outcome::Enqueued { state: JobState::Available }]);
    // A claim passes over what another one holds.
    let session = session(&store).await;
    let claimed = claimed(&store, 5, session).await;
    assert_eq!(claimed.len(), 1);
    assert!(claimed[0].id != held.id);
    other.rollback().await.unwrap();
    assert_eq!(one(&store, Operation::Cancel { id: held.id }).await, Outcome::Cancelled);
}

#[tokio::test]
async fn one_job_stored_on_many_nodes_at_once_is_one_job() {
    let stage = Stage::new().await;
    let stores = [stage.open("one").await, stage.open("two").await];
    for _ in 0..20 {
        let new = job();
        let other = NewJob { fingerprint: [8; 32], event_id: uuid::Uuid::now_v7(), ..new.clone() };
        let (same, again, another) = tokio::join!(
            stores[0].apply(vec![enqueue(&job()), enqueue(&new)]),
            stores[1].apply(vec![enqueue(&new), enqueue(&job())]),
            stores[1].apply(vec![enqueue(&other)]),
        );
        let outcomes = [same.unwrap()[1].clone(), again.unwrap()[0].clone(), another.unwrap()[0].clone()];
        let stored = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Enqueued { .. })));
        assert_eq!(stored.count(), 1, "{outcomes:?}");
        let refused = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Conflict)));
        let duplicates = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Outcome::Duplicate { .. })));
        assert_eq!(refused.count() + duplicates.count(), 2, "{outcomes:?}");
    }
    assert_eq!(stage.number("SELECT count(*) - (SELECT count(*) FROM job_bodies) FROM jobs").await, 0);
    assert_eq!(stage.number("SELECT count(*) FROM jobs").await, 60);
    assert_eq!(log_of(&stores[0], 60).await.len(), 60);
}

#[tokio::test]
async fn a_store_whose_connections_are_all_lost_works_again_by_itself() {
    let stage = Stage::new().await;
    let (store, other) = (stage.open("one").await, stage.open("other").await);
    let session = session(&store).await;
    apply(&store, (0..4).map(|_| enqueue(&job())).collect()).await;
    until_position(&other, 4).await;
    for _ in 0..3 {
        stage.database.disconnect_all();
        let again = async {
            loop {
                match store.apply(vec![enqueue(&job()), claim(1, session)]).await {
                    Ok(results) => return results,
                    Err(StoreError::NotReady(_)) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
        };
        let results = timeout(PATIENCE, again).await.unwrap();
        assert!(matches!(results[1], Ok(Outcome::Claimed(_))), "{results:?}");
    }
    // Reads, renewals, the sequencer and the listener too.
    let renewed = async { while store.renew(session).await.is_err() {} };
    timeout(PATIENCE, renewed).await.unwrap();
    let created = stage.number("SELECT count(*) FROM jobs").await;
    let claims = stage.number("SELECT count(*) FROM jobs WHERE claims > 0").await;
    let events = u64::try_from(created + claims).unwrap();
    until_position(&store, events).await;
    until_position(&other, events).await;
    let read = async { while store.totals().await.is_err() {} };
    timeout(PATIENCE, read).await.unwrap();
    let executing = stage.number("SELECT count(*) FROM jobs WHERE state = 3").await;
    assert_eq!(executing, claims);
    let found = store.jobs(callboard_actors::edges::store::record::JobFilter::default(), 1).await.unwrap();
    assert_eq!(state(&store, found[0].id).await, found[0].state);
}

/// A workflow with a step whose job is dead, and one that waits for it.
async fn failed_workflow(store: &PostgresStore, session: Uuid) -> (Uuid, Uuid) {
    let step = |name: &str| NewStep { name: name.to_owned(), on_failure: OnFailure::Fail, job: job() };
    let workflow = NewWorkflow {
        id: Uuid::now_v7(),
        name: None,
        fingerprint: [7; 32],
        steps: vec![step("a"), step("b")],
        edges: vec![(0, 1)],
        on_end: None,
    };
    let (id, dead) = (workflow.id, workflow.steps[0].job.id);
    one(store, Operation::Workflow(WorkflowOperation::Submit(Box::new(workflow)))).await;
    let claimed = claimed(store, 10, session).await;
    let claimed =
        claimed.into_iter().find(|claimed| claimed.id == dead).expect("it is the only step that may run");
    let end = AttemptEnd::Failed { error: lost(), retry_at: None };
    let started_at = Some(store.now());
    one(store, Operation::Finish { lease: lease(&claimed), started_at, end }).await;
    (id, dead)
}

/// Workflows are locked before jobs by all: who holds a workflow, and then wants its jobs, never waits for who has them and wants it.
#[tokio::test]
async fn what_runs_again_waits_for_its_workflow_before_it_has_its_job() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let session = session(&store).await;
    let Leadership::Leader { token: leader } = store.lead(session, PATIENCE).await.unwrap() else { panic!() };
    let runs: [fn(Uuid) -> Operation; 2] = [
        |id| Operation::Retry {
            id,
            replay_id: Uuid::now_v7(),
            event_id: Uuid::now_v7(),
            max_backlog: 100,
            max_total: 100,
        },
        |id| {
            Operation::DeadJobs(DeadJobsOperation::Replay(Box::new(EditedReplay {
                id,
                replay_id: Uuid::now_v7(),
                event_id: Uuid::now_v7(),
                max_backlog: 100,
                max_total: 100,
                payload: NewPayload { text: "{}".into(), fingerprint: [9; 32] },
                note: EditNote { patch: None, reason: None, by: "ada".into() },
            })))
        },
    ];
    for again in runs {
        let (workflow, dead) = failed_workflow(&store, session).await;
        let advance = WorkflowOperation::Advance { jobs: vec![dead], limit: 100, leader };
        one(&store, Operation::Workflow(advance)).await;
        let mut connection = stage.connect().await;
        let mut other = connection.begin().await.unwrap();
        let held = "SELECT FROM workflows WHERE id = $1 FOR UPDATE";
        sqlx::query(held).bind(workflow).fetch_one(&mut *other).await.unwrap();
        let replayed = store.apply(vec![again(dead)]);
        stage.until_blocked("one").await;
        let wanted = "SELECT FROM jobs WHERE id = $1 FOR UPDATE NOWAIT";
        sqlx::query(wanted).bind(dead).fetch_one(&mut *other).await.expect("nobody has the job");
        other.commit().await.unwrap();
        let outcomes = replayed.await.unwrap();
        assert!(matches!(outcomes[0], Ok(Outcome::Replayed { .. })), "{outcomes:?}");
    }
}
