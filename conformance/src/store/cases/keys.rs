//! Requests that are carried out once for their key.

use callboard_actors::edges::store::{
    KeyedAnswer, Operation, Outcome,
    record::{JobFilter, KeyedJobs, NewJob, RequestKey, Retention},
};
use callboard_contracts::JobState;
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{DAY, SECOND, enqueue, job, prune},
};

fn request(scope: &str, key: &str, jobs: Vec<NewJob>) -> KeyedJobs {
    let key = RequestKey { scope: scope.to_owned(), key: key.to_owned(), fingerprint: [1; 32] };
    KeyedJobs { key, jobs, note: "\"☃\"\n".to_owned() }
}

fn once(request: &KeyedJobs) -> Operation {
    Operation::EnqueueOnce(Box::new(request.clone()))
}

/// The same request, sent again: what is made anew for each is other than before.
fn again(request: &KeyedJobs) -> KeyedJobs {
    let anew = |job: &NewJob| NewJob { id: Uuid::now_v7(), event_id: Uuid::now_v7(), ..job.clone() };
    let jobs = request.jobs.iter().map(anew).collect();
    KeyedJobs { jobs, note: "another".to_owned(), ..request.clone() }
}

fn answered(outcome: Outcome) -> (Vec<KeyedAnswer>, String, bool) {
    match outcome {
        Outcome::EnqueuedOnce { answers, note, replayed } => (answers, note, replayed),
        other => panic!("{other:?}"),
    }
}

const AVAILABLE: Outcome = Outcome::Enqueued { state: JobState::Available };

pub async fn a_request_with_a_key_is_answered_as_it_was_at_first<B: Backend>(stage: &mut Stage<B>) {
    let known = job();
    stage.one(enqueue(&known)).await;
    let other = NewJob { fingerprint: [9; 32], ..known.clone() };
    let later = NewJob { scheduled_at: Some(stage.now().saturating_add(SECOND)), ..job() };
    let full = NewJob { max_backlog: 0, ..job() };
    let first = request("api", "k", vec![job(), known.clone(), other, later, full]);
    let outcomes = [
        AVAILABLE,
        Outcome::Duplicate { event_id: known.event_id, state: JobState::Available },
        Outcome::Conflict,
        Outcome::Enqueued { state: JobState::Scheduled },
        Outcome::BacklogFull { waiting: 3, limit: 0 },
    ];
    let expected: Vec<KeyedAnswer> = first
        .jobs
        .iter()
        .zip(outcomes)
        .map(|(job, outcome)| KeyedAnswer {
            id: job.id,
            event_id: job.event_id,
            queue: job.queue.clone(),
            outcome,
        })
        .collect();
    let (answers, note, replayed) = answered(stage.one(once(&first)).await);
    assert_eq!((&answers, &note, replayed), (&expected, &first.note, false));
    let changed = stage.log().await.len();
    // What has become of the jobs meanwhile does not matter.
    stage.one(Operation::Cancel { id: first.jobs[0].id }).await;
    for step in 0..3 {
        match step {
            0 => {}
            1 => stage.reopen().await,
            _ => stage.kill().await,
        }
        let (answers, note, replayed) = answered(stage.one(once(&again(&first))).await);
        assert_eq!((&answers, &note, replayed), (&expected, &first.note, true));
    }
    assert_eq!(stage.log().await.len(), changed + 1);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 3);
}

pub async fn another_request_under_a_key_is_refused<B: Backend>(stage: &mut Stage<B>) {
    let first = request("api", "k", vec![job()]);
    stage.one(once(&first)).await;
    let mut other = again(&first);
    other.key.fingerprint = [2; 32];
    assert_eq!(stage.one(once(&other)).await, Outcome::KeyTaken);
    // Another scope, and a key that differs in its case only, are free.
    for (scope, key) in [("API", "k"), ("api", "K"), ("apik", "")] {
        let (_, _, replayed) = answered(stage.one(once(&request(scope, key, vec![job()]))).await);
        assert!(!replayed, "{scope} {key}");
    }
    assert_eq!(stage.list(JobFilter::default()).await.len(), 4);
}

pub async fn a_request_that_stores_nothing_leaves_no_key<B: Backend>(stage: &mut Stage<B>) {
    let full = request("api", "k", vec![NewJob { max_backlog: 0, ..job() }]);
    for _ in 0..2 {
        let (answers, _, replayed) = answered(stage.one(once(&full)).await);
        assert_eq!(answers[0].outcome, Outcome::BacklogFull { waiting: 0, limit: 0 });
        assert!(!replayed);
    }
    assert!(!answered(stage.one(once(&request("api", "k", Vec::new()))).await).2);
    let mut room = request("api", "k", vec![job()]);
    room.key.fingerprint = [3; 32];
    assert_eq!(answered(stage.one(once(&room)).await).0[0].outcome, AVAILABLE);
    // One that has nothing to store any more still hears what was answered.
    let (answers, _, replayed) =
        answered(stage.one(once(&KeyedJobs { jobs: Vec::new(), ..room.clone() })).await);
    assert_eq!((answers[0].id, replayed), (room.jobs[0].id, true));
}

pub async fn twice_in_one_batch_is_once<B: Backend>(stage: &mut Stage<B>) {
    let first = request("api", "k", vec![job(), job()]);
    let second = again(&first);
    let outcomes = stage.apply(vec![enqueue(&job()), once(&first), once(&second), enqueue(&job())]).await;
    let (one, two) = (answered(outcomes[1].clone()), answered(outcomes[2].clone()));
    assert_eq!((&one.0, one.2, two.2), (&two.0, false, true));
    assert_eq!(stage.list(JobFilter::default()).await.len(), 4);
}

pub async fn of_many_that_send_one_request_one_stores_it<B: Backend>(stage: &mut Stage<B>) {
    let first = request("api", "k", vec![job(), job(), job()]);
    let mut tasks = Vec::new();
    for number in 0..16 {
        let client = stage.another(&format!("node-{number}")).await;
        let sent = again(&first);
        tasks.push(tokio::spawn(async move { answered(client.one(once(&sent)).await) }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.push(task.await.unwrap());
    }
    assert_eq!(all.iter().filter(|(_, _, replayed)| !replayed).count(), 1);
    assert!(all.windows(2).all(|pair| pair[0].0 == pair[1].0));
    assert_eq!(stage.list(JobFilter::default()).await.len(), 3);
}

pub async fn keys_are_deleted_when_they_are_old<B: Backend>(stage: &mut Stage<B>) {
    let requests: Vec<KeyedJobs> =
        (0..5).map(|number| request("api", &number.to_string(), vec![job()])).collect();
    for request in &requests {
        stage.one(once(request)).await;
        stage.pass(SECOND);
    }
    // The first two are older than three seconds.
    let kept = |batch| Retention { keys: 3 * SECOND, ..prune(batch) };
    assert_eq!(stage.prune(kept(1)).await, (0, 0));
    for (number, request) in requests.iter().enumerate() {
        let (_, _, replayed) = answered(stage.one(once(&again(request))).await);
        assert_eq!(replayed, number >= 2, "{number}");
    }
    stage.pass(2 * DAY);
    stage.prune(kept(100)).await;
    assert!(!answered(stage.one(once(&again(&requests[4]))).await).2);
}
