//! One log: gapless and in the order of each job's changes, whatever runs at once.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
};

use callboard_actors::edges::store::{Outcome, PostgresStore, Store, enqueue_in, record::LoggedEvent};
use callboard_contracts::{EventType, api::LogCursor};
use sqlx::Connection;
use tokio::task::{JoinSet, yield_now};
use uuid::Uuid;

use super::support::{Stage, apply, claim, complete, enqueue, job, log_of, session, until_position};

/// Reads the log from its beginning, as a feed does, until it has seen `count` events.
async fn follow(store: Arc<PostgresStore>, count: u64, limit: u32) -> Vec<LoggedEvent> {
    let mut cursor = LogCursor { epoch: 1, position: 0 };
    let mut seen = Vec::new();
    while cursor.position < count {
        let page = store.events_after(cursor, None, limit).await.unwrap();
        assert!(!page.reset);
        if let Some(last) = page.events.last() {
            cursor = last.cursor;
        }
        seen.extend(page.events);
        yield_now().await;
    }
    seen
}

fn positions(events: &[LoggedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.cursor.position).collect()
}

fn jobs(events: &[LoggedEvent]) -> Vec<String> {
    events.iter().map(|event| event.event.idempotency_key.clone()).collect()
}

#[tokio::test]
async fn a_transaction_held_open_across_anothers_commit_leaves_no_gap_and_is_seen_by_every_reader() {
    let stage = Stage::new().await;
    let (one, other) = (stage.open("one").await, stage.open("other").await);
    let options = stage.options("embedder");
    let (slow, fast) = (job(), [job(), job(), job()]);
    let total = 4;
    // Readers poll on both nodes all the while, in pages of different sizes.
    let mut readers = JoinSet::new();
    for (store, limit) in [(&one, 1), (&other, 2), (&one, 1000), (&other, 1000)] {
        readers.spawn(follow(store.clone(), total, limit));
    }
    let mut connection = stage.connect().await;
    let mut transaction = connection.begin().await.unwrap();
    let outcome = enqueue_in(&mut transaction, &options, &slow).await.unwrap();
    assert!(matches!(outcome, Outcome::Enqueued { .. }), "{outcome:?}");
    // Its batch is drawn; others draw later ones, commit, and are placed and read before it.
    for job in &fast {
        apply(&one, vec![enqueue(job)]).await;
    }
    until_position(&one, 3).await;
    until_position(&other, 3).await;
    let before = log_of(&one, 3).await;
    let ids: Vec<String> = fast.iter().map(|job| job.id.to_string()).collect();
    assert_eq!(jobs(&before), ids);
    transaction.commit().await.unwrap();
    // Whoever was at position 3 finds it behind that.
    let mut expected = ids;
    expected.push(slow.id.to_string());
    while let Some(seen) = readers.join_next().await {
        let seen = seen.unwrap();
        assert_eq!(positions(&seen), [1, 2, 3, 4]);
        assert_eq!(jobs(&seen), expected);
    }
}

#[tokio::test]
async fn the_order_of_the_log_is_that_of_each_jobs_changes_on_many_nodes_at_once() {
    const JOBS: usize = 400;
    // Created, validated, executed, completed.
    const EVENTS: u64 = 4 * JOBS as u64;
    let stage = Stage::new().await;
    let stores = [stage.open("one").await, stage.open("two").await, stage.open("three").await];
    let mut readers = JoinSet::new();
    for (store, limit) in stores.iter().zip([7, 100, 1000]) {
        readers.spawn(follow(store.clone(), EVENTS, limit));
    }
    let done = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for store in &stores {
        // One claims and finishes for each lane that there is.
        for _ in 0..store.lanes() {
            let (store, done) = (store.clone(), done.clone());
            workers.spawn(async move {
                let session = session(&store).await;
                let mut ended = 0;
                while !done.load(SeqCst) {
                    let Outcome::Claimed(jobs) = apply(&store, vec![claim(5, session)]).await.remove(0)
                    else {
                        panic!("no claim")
                    };
                    ended += jobs.len();
                    apply(&store, jobs.iter().map(complete).collect()).await;
                }
                ended
            });
        }
    }
    let mut writers = JoinSet::new();
    for number in 0..JOBS / 10 {
        let store = stores[number % stores.len()].clone();
        writers.spawn(async move {
            let batch = (0..10).map(|_| enqueue(&job())).collect();
            apply(&store, batch).await;
        });
    }
    writers.join_all().await;
    let logs = readers.join_all().await;
    done.store(true, SeqCst);
    assert_eq!(workers.join_all().await.into_iter().sum::<usize>(), JOBS);
    for log in &logs {
        assert_eq!(positions(log), (1..=EVENTS).collect::<Vec<_>>());
        assert_eq!(jobs(log), jobs(&logs[0]));
    }
    let mut ways: HashMap<&str, Vec<EventType>> = HashMap::new();
    for event in &logs[0] {
        ways.entry(&event.event.idempotency_key).or_default().push(event.event.event_type);
    }
    assert_eq!(ways.len(), JOBS);
    let whole = [EventType::Created, EventType::Validated, EventType::Executed, EventType::Completed];
    assert!(ways.values().all(|way| *way == whole), "{ways:?}");
    let ids: std::collections::HashSet<Uuid> = logs[0].iter().map(|event| event.event.event_id).collect();
    assert_eq!(ids.len() as u64, EVENTS);
}

#[tokio::test]
async fn the_events_of_a_job_can_be_read_alone_and_from_any_place() {
    let stage = Stage::new().await;
    let store = stage.open("one").await;
    let (first, second) = (job(), job());
    apply(&store, vec![enqueue(&first), enqueue(&second)]).await;
    let session = session(&store).await;
    let Outcome::Claimed(jobs) = apply(&store, vec![claim(2, session)]).await.remove(0) else { panic!() };
    apply(&store, jobs.iter().map(complete).collect()).await;
    let whole = log_of(&store, 8).await;
    assert_eq!(positions(&whole), (1..=8).collect::<Vec<_>>());
    for from in 0..=8 {
        let after = LogCursor { epoch: 1, position: from };
        let page = store.events_after(after, None, 3).await.unwrap();
        let rest = &whole[usize::try_from(from).unwrap()..];
        assert_eq!(page.events, rest[..rest.len().min(3)]);
        let page = store.events_after(after, Some(second.id), 100).await.unwrap();
        let own = rest.iter().filter(|event| event.event.idempotency_key == second.id.to_string());
        assert_eq!(page.events, own.cloned().collect::<Vec<_>>());
        assert_eq!((page.newest.position, page.oldest.position), (8, 1));
    }
}
