//! Jobs that need edges, and wait while one of them is tripped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{EdgeRecord, EdgeState, NewJob, QueueSettings, Trip},
};
use callboard_contracts::{EventType, JobState, Timestamp};
use tokio::task::{JoinSet, yield_now};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{SECOND, completed, enqueue, failed, finish, job, lease, rescue, retry},
};

fn needing(needs: &[&str]) -> NewJob {
    NewJob { needs: needs.iter().map(|edge| (*edge).to_owned()).collect(), ..job() }
}

fn put(edge: &str, state: EdgeState) -> Operation {
    Operation::PutEdge { edge: edge.into(), state, by: "somebody".into() }
}

fn trip(edge: &str, lasting: Option<Duration>) -> Operation {
    put(edge, EdgeState::Tripped { reason: Some("away".into()), lasting })
}

fn reset(edge: &str) -> Operation {
    put(edge, EdgeState::Ready)
}

/// One step of parking: which queues have more to be claimed, how many jobs were moved, when the next edge is ready.
async fn park(client: &Client, limit: u32) -> (Vec<String>, u32, Option<Timestamp>) {
    match client.one(Operation::Park { limit, leader: client.leader }).await {
        Outcome::Moved { queues, count, next_at } => (queues, count, next_at),
        other => panic!("{other:?}"),
    }
}

async fn ids(client: &Client, limit: u32, session: Uuid) -> Vec<Uuid> {
    client.claim("default", limit, session).await.into_iter().map(|job| job.id).collect()
}

async fn edge(client: &Client, name: &str) -> EdgeRecord {
    let edges = client.store.edges().await.unwrap();
    edges.into_iter().find(|edge| edge.name == name).expect("it is known")
}

pub async fn jobs_of_a_tripped_edge_wait_and_keep_their_places<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let jobs = [needing(&["smtp"]), job(), needing(&["db", "smtp"]), needing(&["db"]), needing(&["smtp2"])];
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    assert_eq!(stage.record(jobs[2].id).await.needs, ["db", "smtp"]);
    let since = stage.now();
    assert_eq!(stage.one(trip("smtp", None)).await, Outcome::Done);
    stage.pass(SECOND);
    let known = edge(stage, "smtp").await;
    assert_eq!(known.trip, Some(Trip { since, until: None, reason: Some("away".into()) }));
    assert_eq!((known.set_by.as_str(), known.set_at, known.parked), ("somebody", since, 0));
    // Before anybody has parked them, and after.
    assert_eq!(ids(stage, 1, session).await, [jobs[1].id]);
    assert_eq!(park(stage, 10).await, (vec![], 2, None));
    assert_eq!(park(stage, 10).await.1, 0);
    assert_eq!(edge(stage, "smtp").await.parked, 2);
    stage.reopen().await;
    let waiting = stage.record(jobs[0].id).await;
    assert_eq!((waiting.state, waiting.attempt), (JobState::Available, 0));
    assert_eq!(ids(stage, 1, session).await, [jobs[3].id]);
    // New ones wait likewise, and are of a queue that has others.
    let later = needing(&["smtp"]);
    assert_eq!(stage.one(enqueue(&later)).await, Outcome::Enqueued { state: JobState::Available });
    assert_eq!(ids(stage, 10, session).await, [jobs[4].id]);
    assert_eq!(park(stage, 10).await.1, 1);
    // Tripped again, it stays so since it was.
    assert_eq!(stage.one(trip("smtp", None)).await, Outcome::Done);
    assert_eq!(edge(stage, "smtp").await.trip.unwrap().since, since);
    assert_eq!(stage.one(reset("smtp")).await, Outcome::Done);
    assert_eq!(edge(stage, "smtp").await.trip, None);
    // Those that were put aside are fetched back in bounded steps, the first ones first.
    assert_eq!(park(stage, 1).await, (vec!["default".into()], 1, None));
    assert_eq!(ids(stage, 10, session).await, [jobs[0].id]);
    assert_eq!(park(stage, 10).await.1, 2);
    assert_eq!(ids(stage, 10, session).await, [jobs[2].id, later.id]);
    for told in [jobs[0].id, later.id] {
        let way = stage.way(told).await;
        assert_eq!(
            way,
            [EventType::Created, EventType::Validated],
            "waiting is not told, and spends nothing"
        );
    }
    let claimed = stage.record(later.id).await;
    assert_eq!((claimed.state, claimed.attempt), (JobState::Executing, 1));
}

pub async fn an_edge_is_ready_by_itself_when_its_time_is_over<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let jobs = [needing(&["smtp"]), needing(&["smtp"])];
    stage.one(trip("smtp", Some(10 * SECOND))).await;
    let until = stage.now().saturating_add(10 * SECOND);
    stage.one(enqueue(&jobs[0])).await;
    assert_eq!(park(stage, 10).await, (vec![], 1, Some(until)));
    stage.one(enqueue(&jobs[1])).await;
    stage.reopen().await;
    stage.pass(10 * SECOND - Duration::from_micros(1));
    assert!(ids(stage, 10, session).await.is_empty());
    assert!(edge(stage, "smtp").await.tripped_at(stage.now()).is_some());
    stage.pass(Duration::from_micros(1));
    // What was not put aside can be claimed at once.
    assert_eq!(ids(stage, 10, session).await, [jobs[1].id]);
    assert!(edge(stage, "smtp").await.tripped_at(stage.now()).is_none());
    assert_eq!(park(stage, 10).await, (vec!["default".into()], 1, None));
    assert_eq!(ids(stage, 10, session).await, [jobs[0].id]);
    // Tripped anew, it is so since then.
    stage.one(trip("smtp", None)).await;
    assert_eq!(edge(stage, "smtp").await.trip.unwrap().since, stage.now());
}

pub async fn a_job_waits_for_each_edge_that_it_needs<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let both = needing(&["b", "a"]);
    stage.one(enqueue(&both)).await;
    stage.apply(vec![trip("a", None), trip("b", None)]).await;
    assert_eq!(park(stage, 10).await.1, 1);
    assert_eq!((edge(stage, "a").await.parked, edge(stage, "b").await.parked), (1, 0));
    stage.one(reset("a")).await;
    assert!(ids(stage, 10, session).await.is_empty());
    // Back, and aside again because of the other one, at once or with the next step.
    while park(stage, 10).await.1 > 0 {}
    assert_eq!((edge(stage, "a").await.parked, edge(stage, "b").await.parked), (0, 1));
    assert!(ids(stage, 10, session).await.is_empty());
    stage.one(reset("b")).await;
    assert_eq!(park(stage, 10).await.1, 1);
    assert_eq!(ids(stage, 10, session).await, [both.id]);
}

pub async fn whatever_becomes_available_waits_too_and_what_runs_goes_on<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let mut jobs: Vec<NewJob> = (0..5).map(|_| needing(&["smtp"])).collect();
    jobs.push(NewJob { scheduled_at: Some(stage.now().saturating_add(SECOND)), ..needing(&["smtp"]) });
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let running: Vec<_> = stage.claim("default", 10, session).await.iter().map(lease).collect();
    assert_eq!(running.len(), 5);
    let dying = stage.session().await;
    let lost = needing(&["smtp"]);
    stage.one(enqueue(&lost)).await;
    assert_eq!(ids(stage, 10, dying).await, [lost.id]);
    stage.one(trip("smtp", None)).await;
    // Done, handed back, to be tried again at once, failed for good, and one that goes on running.
    assert_eq!(stage.finish(running[0], completed()).await, JobState::Completed);
    stage.one(finish(running[1], callboard_actors::edges::store::record::AttemptEnd::Released)).await;
    stage.one(finish(running[2], failed(Some(stage.now())))).await;
    assert_eq!(stage.finish(running[3], failed(None)).await, JobState::Discarded);
    stage.one(rescue(dying, 10)).await;
    let Outcome::Replayed { id: replay, .. } = stage.one(retry(running[3].id)).await else { panic!() };
    assert_eq!(stage.record(replay).await.needs, ["smtp"]);
    stage.pass(SECOND);
    stage.promote(10).await;
    for (step, parked) in [(0, 0), (1, 5)] {
        assert!(ids(stage, 10, session).await.is_empty(), "step {step}");
        assert_eq!(edge(stage, "smtp").await.parked, parked);
        park(stage, 10).await;
    }
    // Called off, it is not put aside any more.
    assert_eq!(stage.one(Operation::Cancel { id: replay }).await, Outcome::Cancelled);
    assert_eq!(edge(stage, "smtp").await.parked, 4);
    assert_eq!(stage.finish(running[4], completed()).await, JobState::Completed);
    stage.one(reset("smtp")).await;
    park(stage, 10).await;
    assert_eq!(stage.claim("default", 10, session).await.len(), 4);
}

pub async fn what_stands_behind_many_parked_jobs_is_claimed<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    for _ in 0..3 {
        stage.apply((0..1000).map(|_| enqueue(&needing(&["smtp"]))).collect()).await;
    }
    let behind = job();
    stage.one(enqueue(&behind)).await;
    stage.one(trip("smtp", None)).await;
    assert_eq!(park(stage, 1000).await.1, 1000);
    assert_eq!(ids(stage, 5, session).await, [behind.id]);
    while park(stage, 1000).await.1 > 0 {}
    assert_eq!(edge(stage, "smtp").await.parked, u64::from(EdgeRecord::COUNTED), "so many are counted");
    let last = job();
    stage.one(enqueue(&last)).await;
    assert_eq!(ids(stage, 5, session).await, [last.id]);
    let queues = stage.store.queues().await.unwrap();
    assert_eq!(queues[0].1.count(JobState::Available), 3000);
    assert_eq!(queues[0].1.oldest_available_at, None, "nobody waits for a turn");
    stage.one(reset("smtp")).await;
    assert_eq!(park(stage, 1000).await.1, 1000);
    assert_eq!(ids(stage, 5, session).await.len(), 5);
}

pub async fn edges_are_known_once_they_were_tripped_and_not_without_bound<B: Backend>(stage: &mut Stage<B>) {
    // Ready is what an edge is of which nothing was said.
    assert_eq!(stage.one(reset("unheard-of")).await, Outcome::Done);
    assert!(stage.store.edges().await.unwrap().is_empty());
    let most = EdgeRecord::MOST;
    stage.apply((0..most).map(|number| trip(&format!("edge-{number:04}"), None)).collect()).await;
    assert_eq!(stage.one(trip("one-more", None)).await, Outcome::TooManyEdges { limit: most });
    // One that is ready makes room, and its jobs come back all the same.
    let waiting = needing(&["edge-0007"]);
    stage.one(enqueue(&waiting)).await;
    assert_eq!(park(stage, 10).await.1, 1);
    stage.apply(vec![reset("edge-0007"), trip("edge-0008", Some(SECOND))]).await;
    assert_eq!(stage.one(trip("one-more", None)).await, Outcome::Done);
    assert_eq!(stage.one(trip("another", None)).await, Outcome::TooManyEdges { limit: most });
    stage.pass(SECOND);
    assert_eq!(stage.one(trip("another", None)).await, Outcome::Done);
    let names: Vec<String> = stage.store.edges().await.unwrap().into_iter().map(|edge| edge.name).collect();
    assert_eq!(
        (names.len(), &*names[0], &*names[8], &*names[999]),
        (1000, "another", "edge-0009", "one-more")
    );
    assert_eq!(park(stage, 10).await.1, 1);
    let session = stage.session().await;
    assert_eq!(ids(stage, 10, session).await, [waiting.id]);
}

/// Whoever begins a claim after the trip was answered, and before the edge is to be ready, is given nothing that needs it.
pub async fn no_claim_after_a_trip_gives_what_needs_the_edge<B: Backend>(stage: &mut Stage<B>) {
    const JOBS: usize = 600;
    let jobs = (0..JOBS).map(|number| if number % 3 == 0 { job() } else { needing(&["smtp"]) });
    stage.apply(jobs.map(|job| enqueue(&job)).collect()).await;
    // Odd while the edge is tripped for sure.
    let turn = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicUsize::new(0));
    let mut all = JoinSet::new();
    for number in 0..6 {
        let (client, turn, done) =
            (stage.another(&format!("node-{number}")).await, turn.clone(), done.clone());
        all.spawn(async move {
            let session = client.session().await;
            while done.load(SeqCst) < JOBS {
                let before = turn.load(SeqCst);
                let claimed = client.claim("default", 3, session).await;
                if before % 2 == 1 && turn.load(SeqCst) == before {
                    for job in &claimed {
                        assert!(client.record(job.id).await.needs.is_empty(), "{} was given", job.id);
                    }
                }
                let ends = claimed.iter().map(|job| finish(lease(job), completed())).collect();
                for outcome in client.apply(ends).await {
                    assert_eq!(outcome, Outcome::Finished { state: JobState::Completed });
                    done.fetch_add(1, SeqCst);
                }
                yield_now().await;
            }
        });
    }
    let (client, over) = (stage.another("operator").await, done.clone());
    all.spawn(async move {
        while over.load(SeqCst) < JOBS {
            client.one(trip("smtp", None)).await;
            turn.fetch_add(1, SeqCst);
            park(&client, 20).await;
            park(&client, 20).await;
            turn.fetch_add(1, SeqCst);
            client.one(reset("smtp")).await;
            park(&client, 50).await;
        }
        client.one(reset("smtp")).await;
    });
    all.join_all().await;
    assert_eq!(stage.store.totals().await.unwrap().completed_jobs, JOBS as u64);
}

pub async fn jobs_with_keys_wait_for_their_edges_too<B: Backend>(stage: &mut Stage<B>) {
    let queue = QueueSettings { name: "default".into(), concurrency: 50, max_backlog: 1_000 };
    stage.one(Operation::PutQueues(vec![queue])).await;
    let session = stage.session().await;
    let of = |key: &str, needs: &[&str]| NewJob { partition_key: Some(key.into()), ..needing(needs) };
    let jobs = [of("a", &["smtp"]), of("a", &[]), of("b", &["smtp"]), needing(&["smtp"]), of("c", &[])];
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    stage.one(trip("smtp", None)).await;
    // Before they are put aside, and after.
    assert_eq!(ids(stage, 1, session).await, [jobs[1].id]);
    assert_eq!(park(stage, 10).await.1, 3);
    assert_eq!(ids(stage, 10, session).await, [jobs[4].id]);
    assert!(ids(stage, 10, session).await.is_empty());
    stage.one(reset("smtp")).await;
    assert_eq!(park(stage, 10).await.1, 3);
    let mut found = ids(stage, 10, session).await;
    found.sort();
    let mut expected = [jobs[0].id, jobs[2].id, jobs[3].id];
    expected.sort();
    assert_eq!(found, expected);
}
