//! Why queues are paused, and who may pause them.

use callboard_actors::edges::store::{
    Operation, Outcome,
    queue_pause::{QueueOperation, QueueOutcome, Trip},
    record::{NewAudit, QueueSettings, QueueTotals},
};
use callboard_contracts::{
    Timestamp,
    api::{ErrorKind, PauseCause, QueueCrash, QueueCrashes, QueuePause},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{SECOND, enqueue, job, pause_of, pausing},
};

fn put_queue() -> Operation {
    let settings = |name: &str| QueueSettings { name: name.into(), concurrency: 5, max_backlog: 1000 };
    Operation::PutQueues(vec![settings("default"), settings("other")])
}

/// What a node says that has counted crashes.
fn crashed(node: &str) -> QueuePause {
    let last = QueueCrash {
        at: Timestamp::from_micros(7),
        job: Some(Uuid::from_u128(9)),
        job_type: Some("noop".into()),
        attempt: Some(2),
        kind: Some(ErrorKind::Panicked),
        actor: None,
        message: "it's \"gone\"\u{0} {,}".into(),
    };
    QueuePause {
        cause: PauseCause::JobCrashes,
        by: format!("node {node}"),
        reason: Some(format!("20 attempts crashed on {node}")),
        crashes: Some(QueueCrashes { node: node.into(), count: 20, within_ms: 60_000, last }),
    }
}

fn trip(node: &str, resumes: u64) -> Operation {
    let entry = NewAudit {
        id: Uuid::now_v7(),
        by: format!("node {node}"),
        role: None,
        action: "queue.pause".to_owned(),
        target: "default".to_owned(),
        detail: None,
    };
    let trip = Trip { queue: "default".into(), pause: crashed(node), resumes, entry };
    Operation::Queue(QueueOperation::Trip(Box::new(trip)))
}

async fn totals(client: &Client) -> QueueTotals {
    let queues = client.store.queues().await.unwrap();
    queues.into_iter().map(|(_, totals)| totals).find(|totals| totals.queue == "default").unwrap()
}

/// Who has paused queues, by the audit trail.
async fn trail(client: &Client) -> Vec<String> {
    let entries = client.store.audit(None, 100).await.unwrap();
    entries.into_iter().map(|entry| entry.entry.by).collect()
}

pub async fn a_queue_says_why_it_is_paused<B: Backend>(stage: &mut Stage<B>) {
    stage.one(put_queue()).await;
    let found = totals(stage).await;
    assert_eq!((found.paused_at, found.pause, found.resumes), (None, None, 0));
    let since = stage.now();
    for who in ["ci", "another"] {
        let pause = Box::new(QueuePause { reason: Some(format!("{who} wants it")), ..pause_of(who) });
        let operation = Operation::Queue(QueueOperation::Pause { queue: "default".into(), pause });
        assert_eq!(stage.one(operation).await, Outcome::Done);
        stage.pass(SECOND);
    }
    stage.reopen().await;
    stage.one(put_queue()).await;
    let first = QueuePause { reason: Some("ci wants it".into()), ..pause_of("ci") };
    let found = totals(stage).await;
    assert_eq!((found.paused_at, found.pause, found.resumes), (Some(since), Some(first), 0));
    // The other queue is none of it.
    let queues = stage.store.queues().await.unwrap();
    let other = &queues.iter().find(|(settings, _)| settings.name == "other").unwrap().1;
    assert_eq!((other.paused_at, &other.pause), (None, &None));
    for resumes in 1..3 {
        assert_eq!(stage.one(pausing("default", false)).await, Outcome::Done);
        let found = totals(stage).await;
        assert_eq!((found.paused_at, found.pause, found.resumes), (None, None, resumes));
    }
    let unknown = Operation::Queue(QueueOperation::Resume { queue: "unknown".into() });
    assert_eq!(stage.one(unknown).await, Outcome::NotFound);
}

pub async fn a_queue_is_paused_by_crashes_once<B: Backend>(stage: &mut Stage<B>) {
    assert_eq!(stage.one(trip("a", 0)).await, Outcome::NotFound);
    stage.one(put_queue()).await;
    stage.one(enqueue(&job())).await;
    let session = stage.session().await;
    let since = stage.now();
    // Sent again, since its answer was lost.
    let first = trip("a", 0);
    assert_eq!(stage.one(first.clone()).await, Outcome::Queue(QueueOutcome::Tripped));
    stage.pass(SECOND);
    for again in [first, trip("b", 0)] {
        assert_eq!(stage.one(again).await, Outcome::Queue(QueueOutcome::PausedBefore));
    }
    // Neither does a person who pauses it make it another pause.
    assert_eq!(stage.one(pausing("default", true)).await, Outcome::Done);
    stage.kill().await;
    let found = totals(stage).await;
    assert_eq!((found.paused_at, found.pause), (Some(since), Some(crashed("a"))));
    assert_eq!(trail(stage).await, ["node a"]);
    assert!(stage.claim("default", 10, session).await.is_empty());
    assert_eq!(stage.one(pausing("default", false)).await, Outcome::Done);
    assert_eq!(stage.claim("default", 10, session).await.len(), 1);
}

pub async fn what_crashed_before_a_queue_was_let_go_on_does_not_pause_it<B: Backend>(stage: &mut Stage<B>) {
    stage.one(put_queue()).await;
    // Whether it was paused when somebody let it go on, or not yet.
    for resumes in 0..2 {
        stage.one(pausing("default", resumes == 1)).await;
        stage.one(pausing("default", false)).await;
        let resumed = totals(stage).await.resumes;
        assert_eq!(stage.one(trip("a", resumed - 1)).await, Outcome::Queue(QueueOutcome::GoesOn));
        assert_eq!((totals(stage).await.paused_at, trail(stage).await.len()), (None, 0));
    }
    let resumed = totals(stage).await.resumes;
    // Within one batch as well.
    let batch = vec![pausing("default", false), trip("a", resumed), trip("b", resumed + 1)];
    let answers: Vec<_> = stage.store.apply(batch).await.unwrap().into_iter().map(Result::unwrap).collect();
    let tripped = [QueueOutcome::GoesOn, QueueOutcome::Tripped].map(Outcome::Queue);
    assert_eq!(answers, [&[Outcome::Done][..], &tripped].concat());
    assert_eq!(totals(stage).await.pause, Some(crashed("b")));
}

pub async fn of_many_nodes_that_pause_a_queue_one_says_why<B: Backend>(stage: &mut Stage<B>) {
    const NODES: usize = 6;
    stage.one(put_queue()).await;
    let mut nodes = Vec::new();
    for number in 0..NODES {
        nodes.push((format!("n{number}"), stage.another(&format!("node-{number}")).await));
    }
    for round in 0..5 {
        let trips = nodes.iter().map(|(name, client)| client.one(trip(name, round)));
        let person = stage.one(pausing("default", true));
        let (answers, _) = futures_util::future::join(futures_util::future::join_all(trips), person).await;
        let tripped = |answer: &&Outcome| **answer == Outcome::Queue(QueueOutcome::Tripped);
        let others = answers.iter().filter(|answer| !tripped(answer));
        assert!(others.clone().all(|answer| *answer == Outcome::Queue(QueueOutcome::PausedBefore)));
        let found = totals(stage).await.pause.unwrap();
        match answers.iter().position(|answer| tripped(&answer)) {
            Some(first) => assert_eq!(found, crashed(&nodes[first].0)),
            None => assert_eq!(found, pause_of("somebody")),
        }
        assert!(answers.iter().filter(tripped).count() <= 1);
        // And of a resume and pauses at a time none is half done.
        let trips = nodes.iter().map(|(name, client)| client.one(trip(name, round)));
        let resume = stage.one(pausing("default", false));
        let (answers, _) = futures_util::future::join(futures_util::future::join_all(trips), resume).await;
        assert!(answers.iter().all(|answer| !tripped(&answer)), "{answers:?}");
        let found = totals(stage).await;
        assert_eq!((found.paused_at, found.pause, found.resumes), (None, None, round + 1));
    }
}
