//! Jobs that are stored in a transaction of somebody else's.

use callboard_actors::edges::store::{
    Outcome, Store, StoreError, Wake, enqueue_in,
    record::{IfTaken, NewJob, Uniqueness},
};
use callboard_contracts::JobState;
use sqlx::Connection;
use tokio::time::timeout;

use super::support::{
    PATIENCE, Stage, apply, claimed, complete, enqueue, job, log_of, one, session, until_position,
};

const AVAILABLE: Outcome = Outcome::Enqueued { state: JobState::Available };

#[tokio::test]
async fn a_job_is_there_when_and_only_when_the_transaction_commits() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let options = stage.options("embedder");
    let session = session(&store).await;
    let mut wakes = store.wakes();
    let mut connection = sqlx::PgConnection::connect(stage.database.url()).await.unwrap();
    sqlx::query("CREATE TABLE orders (job uuid)").execute(&mut connection).await.unwrap();
    let (dropped, kept, held) = (job(), job(), NewJob { held: Some("nobody handles it".into()), ..job() });

    let mut transaction = connection.begin().await.unwrap();
    assert_eq!(enqueue_in(&mut transaction, &options, &dropped).await, Ok(AVAILABLE));
    transaction.rollback().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    for new in [&kept, &held] {
        let stored = enqueue_in(&mut transaction, &options, new).await.unwrap();
        assert!(matches!(stored, Outcome::Enqueued { .. }));
        // The embedder's own tables are found as before.
        sqlx::query("INSERT INTO orders VALUES ($1)").bind(new.id).execute(&mut *transaction).await.unwrap();
    }
    assert!(claimed(&store, 10, session).await.is_empty());
    transaction.commit().await.unwrap();

    let woken = async { while wakes.recv().await.unwrap() != Wake::Available("default".into()) {} };
    timeout(PATIENCE, woken).await.unwrap();
    let leased = claimed(&store, 10, session).await;
    assert_eq!(leased.iter().map(|job| job.id).collect::<Vec<_>>(), [kept.id]);
    assert_eq!(one(&store, complete(&leased[0])).await, Outcome::Finished { state: JobState::Completed });
    assert!(store.job(dropped.id).await.unwrap().is_none());
    // Two creations, and validated, executed and completed of one.
    assert_eq!(log_of(&store, 5).await.len(), 5);
    let (_, totals) =
        store.queues().await.unwrap().into_iter().find(|(_, totals)| totals.queue == "default").unwrap();
    assert_eq!(totals.backlog(), 1);
    assert_eq!(totals.count(JobState::Completed), 1);
}

#[tokio::test]
async fn what_is_refused_leaves_the_transaction_as_it_was() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let options = stage.options("embedder");
    let known = job();
    apply(&store, vec![enqueue(&known)]).await;
    let mut connection = sqlx::PgConnection::connect(stage.database.url()).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let duplicate = Outcome::Duplicate { event_id: known.event_id, state: JobState::Available };
    let same = NewJob { event_id: uuid::Uuid::now_v7(), ..known.clone() };
    assert_eq!(enqueue_in(&mut transaction, &options, &same).await, Ok(duplicate));
    let other = NewJob { fingerprint: [8; 32], ..known.clone() };
    assert_eq!(enqueue_in(&mut transaction, &options, &other).await, Ok(Outcome::Conflict));
    let full = NewJob { max_backlog: 1, ..job() };
    let refused = enqueue_in(&mut transaction, &options, &full).await;
    assert_eq!(refused, Ok(Outcome::BacklogFull { waiting: 1, limit: 1 }));
    let full = NewJob { max_total: 1, queue: "other".into(), ..job() };
    let refused = enqueue_in(&mut transaction, &options, &full).await;
    assert_eq!(refused, Ok(Outcome::StoreFull { waiting: 1, limit: 1 }));
    let unwritable = NewJob { job_type: "a\0b".into(), ..job() };
    let error = enqueue_in(&mut transaction, &options, &unwritable).await;
    assert!(matches!(error, Err(StoreError::Failed(_))), "{error:?}");
    let good = job();
    assert_eq!(enqueue_in(&mut transaction, &options, &good).await, Ok(AVAILABLE));
    transaction.commit().await.unwrap();
    assert!(store.job(good.id).await.unwrap().is_some());
    assert_eq!(stage.number("SELECT count(*) FROM jobs").await, 2);
    // A transaction is needed, and the schema.
    let error = enqueue_in(&mut connection, &options, &job()).await.unwrap_err();
    assert!(error.to_string().contains("transaction"), "{error}");
}

#[tokio::test]
async fn nobody_waits_for_an_embedder_that_takes_its_time() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let options = stage.options("embedder");
    let mut connections = Vec::new();
    for _ in 0..20 {
        connections.push(sqlx::PgConnection::connect(stage.database.url()).await.unwrap());
    }
    let mut open = Vec::new();
    for connection in &mut connections {
        let mut transaction = connection.begin().await.unwrap();
        assert_eq!(enqueue_in(&mut transaction, &options, &job()).await, Ok(AVAILABLE));
        open.push(transaction);
    }
    // All lanes write meanwhile, in the same queue and state.
    let session = session(&store).await;
    for _ in 0..10 {
        let all = (0..store.lanes()).map(|_| store.apply(vec![enqueue(&job())]));
        timeout(PATIENCE, futures_util::future::join_all(all)).await.unwrap();
        let leased = claimed(&store, 100, session).await;
        apply(&store, leased.iter().map(complete).collect()).await;
    }
    let done = u64::try_from(10 * store.lanes()).unwrap();
    until_position(&store, 4 * done).await;
    for transaction in open {
        transaction.commit().await.unwrap();
    }
    until_position(&store, 4 * done + 20).await;
    let (_, totals) = store.queues().await.unwrap().remove(0);
    assert_eq!(totals.count(JobState::Available), 20);
    assert_eq!(totals.count(JobState::Completed), done);
}

#[tokio::test]
async fn a_place_is_taken_when_and_only_when_the_transaction_commits() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let options = stage.options("embedder");
    let only = |if_taken| {
        let states = JobState::ALL.into_iter().filter(|state| !state.is_final()).collect();
        NewJob { unique: Some(Uniqueness { key: [1; 32], states, period: None, if_taken }), ..job() }
    };
    let mut connection = sqlx::PgConnection::connect(stage.database.url()).await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    let dropped = only(IfTaken::Refuse);
    assert_eq!(enqueue_in(&mut transaction, &options, &dropped).await, Ok(AVAILABLE));
    let other = enqueue_in(&mut transaction, &options, &only(IfTaken::Refuse)).await;
    assert_eq!(other, Ok(Outcome::NotUnique { id: dropped.id, state: JobState::Available }));
    transaction.rollback().await.unwrap();

    // Whoever wants the place meanwhile waits for the transaction, and then hears of its job.
    let mut transaction = connection.begin().await.unwrap();
    let first = only(IfTaken::Refuse);
    assert_eq!(enqueue_in(&mut transaction, &options, &first).await, Ok(AVAILABLE));
    let waiting = tokio::spawn({
        let (store, second) = (store.clone(), only(IfTaken::Keep));
        async move { one(&store, enqueue(&second)).await }
    });
    transaction.commit().await.unwrap();
    let expected = Outcome::Kept { id: first.id, event_id: first.event_id, state: JobState::Available };
    assert_eq!(timeout(PATIENCE, waiting).await.unwrap().unwrap(), expected);

    let mut transaction = connection.begin().await.unwrap();
    let new = only(IfTaken::Replace);
    let instead = Outcome::EnqueuedInstead { state: JobState::Available, replaced: first.id };
    assert_eq!(enqueue_in(&mut transaction, &options, &new).await, Ok(instead));
    transaction.commit().await.unwrap();
    let job = store.job(first.id).await.unwrap().unwrap();
    assert_eq!(job.job.state, JobState::Cancelled);
    let (_, totals) =
        store.queues().await.unwrap().into_iter().find(|(_, totals)| totals.queue == "default").unwrap();
    assert_eq!((totals.backlog(), totals.count(JobState::Cancelled)), (1, 1));
    // Two creations and an end.
    assert_eq!(log_of(&store, 3).await.len(), 3);
}
