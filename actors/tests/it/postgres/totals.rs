//! Totals as of a place in the log, whatever is being written.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use callboard_actors::edges::store::{Operation, PostgresStore, Store};
use callboard_contracts::{
    EventType,
    api::{LogCursor, Totals},
};
use tokio::task::JoinSet;

use super::support::{Stage, apply, claimed, complete, enqueue, job, session, until_position};

/// Looks that are to be had while there is work.
const LOOKS: usize = 40;
const JOBS: usize = 10;

/// Completes and cancels jobs, in many small transactions, as long as it is looked at.
async fn work(store: Arc<PostgresStore>, looks: Arc<AtomicUsize>) {
    let session = session(&store).await;
    while looks.load(SeqCst) < LOOKS {
        let jobs: Vec<_> = (0..JOBS).map(|_| job()).collect();
        apply(&store, jobs.iter().map(enqueue).collect()).await;
        apply(&store, jobs.iter().take(2).map(|job| Operation::Cancel { id: job.id }).collect()).await;
        let claimed = claimed(&store, 8, session).await;
        apply(&store, claimed.iter().map(complete).collect()).await;
    }
}

/// What the log up to a place comes to.
async fn counted(store: &PostgresStore, place: LogCursor) -> (u64, u64) {
    let begin = LogCursor { epoch: place.epoch, position: 0 };
    let limit = u32::try_from(place.position).unwrap();
    if limit == 0 {
        return (0, 0);
    }
    let log = store.count_events_after(begin, limit).await.unwrap();
    assert_eq!(log.last, place);
    let of = |event_type| {
        log.counts.iter().filter(|count| count.event_type == event_type).map(|count| count.events).sum()
    };
    (of(EventType::Completed), of(EventType::Failed))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn totals_at_a_place_are_those_of_the_log_up_to_it_while_others_write() {
    let stage = Stage::new().await;
    let stores = [stage.open("one").await, stage.open("two").await];
    let looks = Arc::new(AtomicUsize::new(0));
    let mut looking = JoinSet::new();
    for store in &stores {
        let (store, looks) = (store.clone(), looks.clone());
        looking.spawn(async move {
            let mut seen: Vec<(Totals, LogCursor)> = Vec::new();
            while looks.load(SeqCst) < LOOKS {
                let look = store.totals_at().await.unwrap();
                if seen.last() != Some(&look) {
                    seen.push(look);
                    looks.fetch_add(1, SeqCst);
                }
            }
            seen
        });
    }
    let mut working = JoinSet::new();
    for number in 0..4 {
        working.spawn(work(stores[number % 2].clone(), looks.clone()));
    }
    while let Some(worked) = working.join_next().await {
        worked.unwrap();
    }
    let mut seen = Vec::new();
    while let Some(looked) = looking.join_next().await {
        seen.extend(looked.unwrap());
    }
    let newest = *stores[0].committed().borrow();
    until_position(&stores[0], newest.position).await;
    for (totals, place) in seen {
        let (completed, failed) = counted(&stores[0], place).await;
        assert_eq!((totals.completed_jobs, totals.failed_jobs), (completed, failed), "at {place}");
        assert_eq!(totals.total_jobs, completed + failed);
    }
    let end = stores[1].totals().await.unwrap();
    // Of those that were to be cancelled another may have claimed some.
    assert!(end.failed_jobs > 0);
}
