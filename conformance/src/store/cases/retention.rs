//! Deleting what is old.

use std::time::Duration;

use callboard_actors::edges::store::{
    Outcome,
    record::{JobFilter, NewJob, Retention},
};
use callboard_contracts::{JobState, api::LogCursor};

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{DAY, SECOND, cancelled, completed, enqueue, failed, job, lease, prune},
};

/// Stores jobs and ends them like this, each in a transaction of its own.
async fn ended(
    client: &Client,
    session: uuid::Uuid,
    ends: &[callboard_actors::edges::store::record::AttemptEnd],
) {
    for end in ends {
        client.one(enqueue(&NewJob { queue: "ended".into(), ..job() })).await;
        let claimed = client.claim("ended", 1, session).await;
        client.finish(lease(&claimed[0]), end.clone()).await;
    }
}

pub async fn what_is_old_is_deleted_in_bounded_steps_and_totals_stay<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    ended(stage, session, &vec![completed(); 6]).await;
    stage.one(enqueue(&job())).await;
    stage.settle().await;
    let nothing = Outcome::Pruned { jobs: 0, events: 0, more: false };
    assert_eq!(stage.one(stage.pruning(prune(4))).await, nothing);
    // To the very moment it is kept.
    stage.pass(DAY);
    assert_eq!(stage.one(stage.pruning(prune(4))).await, nothing);
    stage.pass(SECOND);
    let events = stage.log().await.len() as u64;
    let mut deleted = (0, 0);
    loop {
        let pruned = stage.one(stage.pruning(prune(4))).await;
        let Outcome::Pruned { jobs, events, more } = pruned else { panic!("{pruned:?}") };
        assert!(jobs <= 4 && events <= 4, "{pruned:?}");
        deleted = (deleted.0 + jobs, deleted.1 + events);
        if !more {
            break;
        }
    }
    assert_eq!(deleted, (6, events));
    assert_eq!(stage.one(stage.pruning(prune(4))).await, nothing);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 1, "what is not finished stays");
    assert_eq!(stage.store.totals().await.unwrap().completed_jobs, 6);
    // The log goes on where it was, and its reader is told what is gone.
    stage.one(enqueue(&job())).await;
    stage.settle().await;
    let newest = stage.events_after(LogCursor::default(), 1).await.newest;
    assert_eq!(newest.position, events + 1);
    let page = stage.events_after(LogCursor { position: 1, ..newest }, 10).await;
    assert!(page.reset);
    assert_eq!(page.oldest, newest);
    assert_eq!(page.events[0].cursor, newest);
    let page = stage.events_after(LogCursor { position: events, ..newest }, 10).await;
    assert!(!page.reset, "it has missed nothing");
    assert_eq!(page.events.len(), 1);
}

pub async fn a_log_that_was_emptied_goes_on<B: Backend>(stage: &mut Stage<B>) {
    stage.apply((0..3).map(|_| enqueue(&job())).collect()).await;
    stage.settle().await;
    stage.pass(DAY + SECOND);
    assert_eq!(stage.prune(prune(100)).await, (0, 3));
    for _ in 0..2 {
        let page = stage.events_after(LogCursor::default(), 10).await;
        assert!(page.reset && page.events.is_empty(), "{page:?}");
        assert_eq!((page.newest.position, page.oldest.position), (3, 4));
        let page = stage.events_after(page.newest, 10).await;
        assert!(!page.reset && page.events.is_empty(), "{page:?}");
        stage.kill().await;
    }
    stage.one(enqueue(&job())).await;
    assert_eq!(stage.log().await[0].cursor.position, 4);
}

pub async fn each_final_state_has_its_own_age<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    ended(stage, session, &[completed(), cancelled(), failed(None), completed(), cancelled(), failed(None)])
        .await;
    let hour = Duration::from_secs(3_600);
    let kept = Retention { completed: hour, cancelled: 2 * hour, discarded: 3 * hour, ..prune(100) };
    for (state, left) in [(JobState::Completed, 4), (JobState::Cancelled, 2), (JobState::Discarded, 0)] {
        stage.pass(hour - SECOND);
        assert_eq!(stage.prune(kept).await.0, 0);
        stage.pass(SECOND + Duration::from_micros(1));
        assert_eq!(stage.prune(kept).await.0, 2, "{state}");
        let jobs = stage.list(JobFilter::default()).await;
        assert!(jobs.len() == left && jobs.iter().all(|job| job.state != state), "{jobs:?}");
    }
    // Their attempts went with them, their events did not.
    assert_eq!(stage.log().await.len(), 3 * 6);
}

pub async fn a_long_log_is_cut_to_its_number<B: Backend>(stage: &mut Stage<B>) {
    for _ in 0..9 {
        stage.one(enqueue(&job())).await;
    }
    stage.settle().await;
    let most = |events_max, batch| Retention { events_max, ..prune(batch) };
    assert_eq!(stage.prune(most(9, 100)).await, (0, 0));
    assert_eq!(stage.prune(most(7, 1)).await, (0, 2));
    assert_eq!(stage.prune(most(2, 100)).await, (0, 5));
    let log = stage.log().await;
    assert_eq!(log.iter().map(|event| event.cursor.position).collect::<Vec<_>>(), [8, 9]);
    assert_eq!(stage.prune(most(0, 100)).await, (0, 2));
    stage.one(enqueue(&job())).await;
    assert_eq!(stage.log().await[0].cursor.position, 10);
}
