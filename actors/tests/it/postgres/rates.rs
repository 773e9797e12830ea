//! What is counted for rates.

use std::time::Duration;

use callboard_actors::edges::store::{
    Leadership, Operation, Outcome, Store,
    record::{NewJob, QueueSettings, Retention},
};
use callboard_contracts::api::QueueLimits;

use super::support::{Stage, apply, claimed, enqueue, job, one, session};

#[tokio::test]
async fn what_no_rate_looks_at_any_more_is_deleted() {
    let stage = Stage::with_clock().await;
    let store = stage.open("node").await;
    let session = session(&store).await;
    let day = Duration::from_secs(86_400);
    let Leadership::Leader { token: leader } = store.lead(session, day).await.unwrap() else {
        panic!("nobody else is there")
    };
    let rate = Some("9/10s".parse().ok());
    let limits = QueueLimits { rate, rate_per_key: rate, ..QueueLimits::default() };
    let queue = QueueSettings { name: "default".into(), concurrency: 5, max_backlog: 10 };
    let keyed = || enqueue(&NewJob { partition_key: Some("a".into()), ..job() });
    let limit = Operation::LimitQueue { queue: "default".into(), limits };
    apply(&store, vec![Operation::PutQueues(vec![queue]), limit, keyed(), keyed()]).await;
    let kept = Retention {
        completed: day,
        cancelled: day,
        discarded: day,
        events: day,
        events_max: u64::MAX,
        keys: day,
        inbox: day,
        inbox_max: u64::MAX,
        batch: 2,
    };
    let left = async |more| {
        let pruned = one(&store, Operation::Prune { retention: kept, leader }).await;
        assert_eq!(pruned, Outcome::Pruned { jobs: 0, events: 0, more });
        stage.number("SELECT count(*) FROM claim_counts").await
    };
    // The queue and the key are counted, in two slices.
    assert_eq!(claimed(&store, 1, session).await.len(), 1);
    stage.pass(Duration::from_secs(5));
    assert_eq!(claimed(&store, 1, session).await.len(), 1);
    assert_eq!(left(false).await, 4, "all of it counts");
    stage.pass(Duration::from_secs(6));
    assert_eq!(left(true).await, 2);
    stage.pass(Duration::from_secs(10));
    assert_eq!(left(true).await, 0);
}
