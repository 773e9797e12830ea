//! Events of other programs, each of which counts once.

use callboard_actors::edges::store::{
    Outcome,
    record::{JobFilter, NewJob, Retention},
};
use callboard_contracts::JobState;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{DAY, SECOND, completed, enqueue, event, job, lease, prune, receive},
};

const STORED: Outcome = Outcome::Enqueued { state: JobState::Available };

pub async fn an_event_stores_its_job_once<B: Backend>(stage: &mut Stage<B>) {
    let (event, new, other) = (event(), job(), job());
    // Twice in one batch, and beside others.
    let batch = vec![enqueue(&job()), receive(&event, &new), receive(&event, &new), receive(&event, &other)];
    let outcomes = stage.apply(batch).await;
    assert_eq!(outcomes, [STORED, STORED, Outcome::Seen, Outcome::Seen]);
    let record = stage.record(new.id).await;
    assert_eq!((record.created_event_id, record.correlation_id), (event.id, new.correlation_id));
    let told = stage.log().await;
    assert_eq!(told.iter().filter(|told| told.event.event_id == event.id).count(), 1);
    for step in 0..3 {
        match step {
            0 => {}
            1 => stage.reopen().await,
            _ => stage.kill().await,
        }
        assert_eq!(stage.one(receive(&event, &new)).await, Outcome::Seen);
        assert_eq!(stage.one(receive(&event, &other)).await, Outcome::Seen);
    }
    // Another event may tell of the same job, which is there once.
    let again = crate::store::words::event();
    let duplicate = Outcome::Duplicate { event_id: event.id, state: JobState::Available };
    assert_eq!(stage.one(receive(&again, &new)).await, duplicate);
    assert_eq!(stage.one(receive(&again, &new)).await, Outcome::Seen);
    // It is seen also when the job is done and deleted.
    let session = stage.session().await;
    for job in stage.claim("default", 10, session).await {
        stage.finish(lease(&job), completed()).await;
    }
    stage.pass(2 * DAY);
    assert_eq!(stage.prune(Retention { inbox: 9 * DAY, ..prune(100) }).await.0, 2);
    assert_eq!(stage.one(receive(&event, &new)).await, Outcome::Seen);
    assert!(stage.list(JobFilter::default()).await.is_empty());
}

pub async fn an_event_of_which_nothing_was_stored_is_a_new_one_again<B: Backend>(stage: &mut Stage<B>) {
    let (event, new) = (event(), job());
    let full = NewJob { max_backlog: 0, ..new.clone() };
    let refused = Outcome::BacklogFull { waiting: 0, limit: 0 };
    // Twice in one batch, too.
    let outcomes = stage.apply(vec![receive(&event, &full), receive(&event, &full)]).await;
    assert_eq!(outcomes, [refused.clone(), refused]);
    assert_eq!(stage.one(receive(&event, &new)).await, STORED);
    let other = crate::store::words::event();
    let conflict = NewJob { fingerprint: [9; 32], ..new.clone() };
    for _ in 0..2 {
        assert_eq!(stage.one(receive(&other, &conflict)).await, Outcome::Conflict);
    }
    assert_eq!(stage.one(receive(&other, &job())).await, STORED);
}

pub async fn our_own_event_that_comes_back_changes_nothing<B: Backend>(stage: &mut Stage<B>) {
    let new = job();
    stage.one(enqueue(&new)).await;
    let ours = crate::store::words::event();
    let ours = callboard_actors::edges::store::outside::ReceivedEvent { id: new.event_id, ..ours };
    // What we tell of a job is more than what was submitted.
    let told = NewJob { fingerprint: [9; 32], ..new.clone() };
    let known = Outcome::Duplicate { event_id: new.event_id, state: JobState::Available };
    assert_eq!(stage.one(receive(&ours, &told)).await, known);
    assert_eq!(stage.one(receive(&ours, &told)).await, Outcome::Seen);
    assert_eq!(stage.log().await.len(), 1);
}

pub async fn of_many_that_get_one_event_one_stores_its_job<B: Backend>(stage: &mut Stage<B>) {
    let (shared, new) = (event(), job());
    let mut tasks = Vec::new();
    for number in 0..12 {
        let client = stage.another(&format!("node-{number}")).await;
        let batch = vec![receive(&event(), &job()), receive(&shared, &new), receive(&event(), &job())];
        tasks.push(tokio::spawn(async move { client.apply(batch).await }));
    }
    let mut stored = 0;
    for task in tasks {
        let outcomes = task.await.unwrap();
        assert_eq!((&outcomes[0], &outcomes[2]), (&STORED, &STORED));
        match &outcomes[1] {
            Outcome::Seen => {}
            outcome if *outcome == STORED => stored += 1,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(stored, 1);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 25);
}

pub async fn events_are_forgotten_by_their_age_and_by_their_number<B: Backend>(stage: &mut Stage<B>) {
    let events: Vec<_> = (0..6).map(|_| (event(), job())).collect();
    for (event, job) in &events {
        stage.one(receive(event, job)).await;
        stage.pass(SECOND);
    }
    // The first two are older than four seconds; in steps of one.
    let kept = |inbox_max, batch| Retention { inbox: 4 * SECOND, inbox_max, ..prune(batch) };
    assert_eq!(stage.prune(kept(u64::MAX, 1)).await, (0, 0));
    let seen = async |stage: &Stage<B>, number: usize| {
        let (event, job) = &events[number];
        stage.one(receive(event, job)).await == Outcome::Seen
    };
    assert!(seen(stage, 2).await && seen(stage, 5).await);
    // The last two are kept: the others are too many.
    stage.prune(kept(2, 100)).await;
    assert!(seen(stage, 4).await && seen(stage, 5).await);
    for number in [0, 3] {
        assert!(!seen(stage, number).await, "{number}");
    }
    stage.pass(DAY);
    stage.prune(kept(u64::MAX, 100)).await;
    assert!(!seen(stage, 5).await);
}
