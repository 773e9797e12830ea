//! Many at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, JobFilter, NewJob, QueueSettings},
};
use callboard_contracts::{
    JobState,
    api::{LogCursor, QueueLimits},
};
use parking_lot::Mutex;
use tokio::task::{JoinSet, yield_now};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    chance::Chance,
    client::Client,
    stage::Stage,
    words::{SECOND, claim, completed, enqueue, failed, finish, job, lease, rescue, retry, start},
};

/// As many handles as nodes, each with connections of its own where the backend allows that.
async fn nodes<B: Backend>(stage: &Stage<B>, count: usize) -> Vec<Client> {
    let mut nodes = vec![(**stage).clone()];
    for number in 1..count {
        nodes.push(stage.another(&format!("node-{number}")).await);
    }
    nodes
}

pub async fn sixteen_claimers_never_share_a_job<B: Backend>(stage: &mut Stage<B>) {
    const JOBS: usize = 2_000;
    stage.apply((0..JOBS).map(|_| enqueue(&job())).collect()).await;
    let nodes = nodes(stage, 4).await;
    let mut claimers = JoinSet::new();
    for number in 0..16 {
        let client = nodes[number % nodes.len()].clone();
        claimers.spawn(async move {
            let session = client.session().await;
            let mut mine = Vec::new();
            loop {
                let claimed = client.claim("default", 7, session).await;
                if claimed.is_empty() {
                    return mine;
                }
                let ends = claimed.iter().map(|job| finish(lease(job), completed())).collect();
                for outcome in client.apply(ends).await {
                    assert_eq!(outcome, Outcome::Finished { state: JobState::Completed });
                }
                mine.extend(claimed.into_iter().map(|job| (job.id, job.token)));
            }
        });
    }
    let claimed = claimers.join_all().await.concat();
    let (ids, tokens): (BTreeSet<_>, BTreeSet<_>) = claimed.iter().copied().unzip();
    assert_eq!((claimed.len(), ids.len(), tokens.len()), (JOBS, JOBS, JOBS));
    assert_eq!(stage.store.totals().await.unwrap().completed_jobs, JOBS as u64);
}

/// Who holds which job, as the claimers know it.
#[derive(Default)]
struct Held {
    /// By job: the newest token that was seen, and whose attempt is under way.
    jobs: BTreeMap<Uuid, (u64, Option<Uuid>)>,
    /// Claims that were answered, and ends.
    claims: u64,
    completed: u64,
}

/// One claimer's life. It may be dropped at any of its awaits.
async fn work(client: Client, session: Uuid, held: Arc<Mutex<Held>>, mut chance: Chance) {
    loop {
        let claimed = client.claim("default", 1 + chance.below(4), session).await;
        {
            let mut held = held.lock();
            for job in &claimed {
                let (token, holder) = held.jobs.entry(job.id).or_default();
                assert!(job.token > *token, "the tokens of {} do not grow: {token}, {}", job.id, job.token);
                assert_eq!(*holder, None, "{} is held twice", job.id);
                (*token, *holder) = (job.token, Some(session));
            }
            held.claims += claimed.len() as u64;
        }
        if claimed.is_empty() {
            client.promote(100).await;
            yield_now().await;
        }
        for job in claimed {
            let lease = lease(&job);
            if chance.one_in(2) {
                client.one(start(lease, client.now())).await;
            }
            let end = match chance.below(8) {
                0 => AttemptEnd::Released,
                1 => failed(Some(client.now())),
                _ => completed(),
            };
            let done = matches!(end, AttemptEnd::Completed { .. });
            // Whoever claims it next may do so before this one hears that its end was written.
            held.lock().jobs.insert(job.id, (job.token, None));
            assert!(matches!(client.one(finish(lease, end)).await, Outcome::Finished { .. }));
            held.lock().completed += u64::from(done);
        }
    }
}

pub async fn claimers_that_are_killed_lose_no_job_and_share_none<B: Backend>(stage: &mut Stage<B>) {
    const JOBS: u64 = 600;
    const CLAIMERS: usize = 16;
    const KILLS: u32 = 120;
    let mut chance = Chance::new();
    let endless = || NewJob { max_attempts: 1_000_000, ..job() };
    stage.apply((0..JOBS).map(|_| enqueue(&endless())).collect()).await;
    let nodes = nodes(stage, 4).await;
    let held = Arc::new(Mutex::new(Held::default()));
    let begin = async |number: usize, chance: &mut Chance| {
        let client = nodes[number % nodes.len()].clone();
        let session = client.session().await;
        (session, tokio::spawn(work(client, session, held.clone(), chance.fork())))
    };
    let mut claimers = Vec::new();
    for number in 0..CLAIMERS {
        claimers.push(begin(number, &mut chance).await);
    }
    let done = async || stage.store.totals().await.unwrap().completed_jobs;
    let (mut kills, mut rescued) = (0, 0);
    while kills < KILLS && done().await < JOBS {
        for _ in 0..chance.below(30) {
            yield_now().await;
        }
        let number = chance.below(CLAIMERS as u32) as usize;
        let (session, claimer) = std::mem::replace(&mut claimers[number], begin(number, &mut chance).await);
        claimer.abort();
        // It has not ended by itself: that would be a failed assertion of its own.
        assert!(claimer.await.is_err_and(|end| end.is_cancelled()), "a claimer failed");
        kills += 1;
        for (_, holder) in held.lock().jobs.values_mut().filter(|(_, holder)| *holder == Some(session)) {
            *holder = None;
        }
        // What it asked for last may be carried out only now; once its session has ended, it no longer is.
        loop {
            let outcome = stage.one(rescue(session, 3)).await;
            let Outcome::Moved { count, .. } = outcome else { panic!("{outcome:?}") };
            rescued += count;
            if count < 3 {
                break;
            }
        }
    }
    while done().await < JOBS {
        assert!(!claimers.iter().any(|(_, claimer)| claimer.is_finished()), "a claimer failed");
        yield_now().await;
    }
    for (_, claimer) in &claimers {
        claimer.abort();
    }
    let Held { claims, completed, .. } = std::mem::take(&mut *held.lock());
    println!("{kills} kills, {rescued} attempts rescued, {claims} claims, {completed} ends heard of");
    assert!(claims >= JOBS);
    assert!(completed <= JOBS);
    let jobs = stage.list(JobFilter::default()).await;
    assert_eq!(jobs.len() as u64, JOBS);
    assert!(jobs.iter().all(|job| job.state == JobState::Completed));
    assert_eq!(done().await, JOBS, "each is counted once");
}

pub async fn of_many_that_submit_one_job_one_stores_it<B: Backend>(stage: &mut Stage<B>) {
    let nodes = nodes(stage, 4).await;
    for _ in 0..20 {
        // Each in an order of its own, so that whoever locks rows meets the others.
        let jobs: Vec<NewJob> = (0..8).map(|_| job()).collect();
        let mut submitters = JoinSet::new();
        for number in 0..8 {
            let client = nodes[number % nodes.len()].clone();
            let mut batch: Vec<Operation> = jobs.iter().map(enqueue).collect();
            batch.rotate_left(number);
            if number % 2 == 0 {
                batch.reverse();
            }
            submitters.spawn(async move { client.apply(batch).await });
        }
        let outcomes = submitters.join_all().await.concat();
        let stored = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Enqueued { .. })).count();
        let doubles = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Duplicate { .. })).count();
        assert_eq!((stored, doubles), (8, 56));
    }
    assert_eq!(stage.list(JobFilter::default()).await.len(), 160);
}

pub async fn of_an_end_and_a_cancel_at_a_time_one_is_first<B: Backend>(stage: &mut Stage<B>) {
    let nodes = nodes(stage, 3).await;
    let session = stage.session().await;
    for _ in 0..40 {
        let new = job();
        stage.one(enqueue(&new)).await;
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        let (end, cancel, again) = tokio::join!(
            nodes[0].one(finish(lease, failed(Some(nodes[0].now())))),
            nodes[1].one(Operation::Cancel { id: new.id }),
            nodes[2].one(retry(new.id)),
        );
        assert!(matches!(end, Outcome::Finished { .. }), "{end:?}");
        let state = stage.state(new.id).await;
        match cancel {
            Outcome::Cancelled => assert_eq!(state, JobState::Cancelled, "{end:?} {again:?}"),
            Outcome::CancelRequested { .. } => assert_eq!(state, JobState::Cancelled, "{end:?} {again:?}"),
            other => panic!("{other:?}"),
        }
    }
}

pub async fn of_many_that_ask_for_one_replay_all_get_the_same<B: Backend>(stage: &mut Stage<B>) {
    let nodes = nodes(stage, 4).await;
    let session = stage.session().await;
    for _ in 0..20 {
        let new = NewJob { queue: "replayed".into(), ..job() };
        stage.one(enqueue(&new)).await;
        let claimed = lease(&stage.claim("replayed", 1, session).await[0]);
        stage.finish(claimed, completed()).await;
        let again = retry(new.id);
        let mut asking = JoinSet::new();
        for number in 0..8 {
            let (client, again) = (nodes[number % nodes.len()].clone(), again.clone());
            asking.spawn(async move { client.one(again).await });
        }
        let outcomes = asking.join_all().await;
        assert!(outcomes.iter().all(|outcome| *outcome == outcomes[0]), "{outcomes:?}");
        let Outcome::Replayed { id, .. } = outcomes[0] else { panic!("{outcomes:?}") };
        let replay = lease(&stage.claim("replayed", 9, session).await[0]);
        assert_eq!(replay.id, id);
        stage.finish(replay, completed()).await;
    }
    assert_eq!(stage.list(JobFilter::default()).await.len(), 40);
}

pub async fn a_backlog_is_not_overrun_by_more_than_those_who_submit_at_a_time<B: Backend>(
    stage: &mut Stage<B>,
) {
    const LIMIT: u64 = 50;
    const NODES: u64 = 4;
    let nodes = nodes(stage, NODES as usize).await;
    let mut submitters = JoinSet::new();
    for client in nodes {
        submitters.spawn(async move {
            let mut stored = 0;
            for _ in 0..40 {
                match client.one(enqueue(&NewJob { max_backlog: LIMIT, ..job() })).await {
                    Outcome::Enqueued { .. } => stored += 1,
                    Outcome::BacklogFull { limit: LIMIT, waiting } => assert!(waiting >= LIMIT),
                    other => panic!("{other:?}"),
                }
            }
            stored
        });
    }
    let stored: u64 = submitters.join_all().await.into_iter().sum();
    let exact = if B::SHARED { LIMIT..LIMIT + NODES } else { LIMIT..LIMIT + 1 };
    assert!(exact.contains(&stored), "{stored} of {LIMIT}");
    assert_eq!(stage.list(JobFilter::default()).await.len() as u64, stored);
}

pub async fn reads_see_whole_batches_while_others_are_written<B: Backend>(stage: &mut Stage<B>) {
    let writer = {
        let client = stage.another("writer").await;
        tokio::spawn(async move {
            for _ in 0..30 {
                client.apply((0..20).map(|_| enqueue(&job())).collect()).await;
            }
        })
    };
    let mut seen = 0;
    while seen < 600 {
        let page = stage.store.jobs(JobFilter::default(), 1000).await.unwrap();
        assert_eq!(page.len() % 20, 0, "half a batch was seen");
        assert!(page.len() >= seen, "what was there is there");
        seen = page.len();
    }
    writer.await.unwrap();
}

pub async fn readers_of_the_log_miss_nothing_while_many_write<B: Backend>(stage: &mut Stage<B>) {
    const JOBS: usize = 400;
    let nodes = nodes(stage, 4).await;
    let mut writers = JoinSet::new();
    for (number, client) in nodes.iter().cloned().enumerate() {
        writers.spawn(async move {
            let session = client.session().await;
            let queue = format!("queue-{number}");
            for _ in 0..JOBS / 4 / 5 {
                let jobs = (0..5).map(|_| enqueue(&NewJob { queue: queue.clone(), ..job() }));
                client.apply(jobs.chain([claim(&queue, 5, session)]).collect()).await;
                client.promote(5).await;
            }
        });
    }
    let mut readers = JoinSet::new();
    for client in nodes {
        readers.spawn(async move {
            let mut committed = client.store.committed();
            let (mut after, mut seen) = (LogCursor::default(), Vec::new());
            while seen.len() < 2 * JOBS {
                committed.changed().await.unwrap();
                loop {
                    let page = client.events_after(after, 7).await;
                    assert!(!page.reset);
                    let Some(last) = page.events.last() else { break };
                    after = last.cursor;
                    seen.extend(page.events);
                }
            }
            seen
        });
    }
    writers.join_all().await;
    stage.pass(SECOND);
    let log = stage.log().await;
    assert_eq!(log.len(), 2 * JOBS);
    for seen in readers.join_all().await {
        assert!(seen == log, "every reader sees the log as it is in the end");
    }
}

pub async fn a_limit_over_all_nodes_is_never_passed<B: Backend>(stage: &mut Stage<B>) {
    const LIMIT: u32 = 3;
    let limit = |most| {
        let limits = QueueLimits { max_running: Some(most), ..QueueLimits::default() };
        Operation::LimitQueue { queue: "default".into(), limits }
    };
    assert_eq!(stage.one(limit(Some(LIMIT))).await, Outcome::NotFound);
    let known = QueueSettings { name: "default".into(), concurrency: 50, max_backlog: 1000 };
    stage.one(Operation::PutQueues(vec![known])).await;
    assert_eq!(stage.one(limit(Some(LIMIT))).await, Outcome::Done);
    stage.apply((0..40).map(|_| enqueue(&job())).collect()).await;
    let running = Arc::new(AtomicU32::new(0));
    let mut tasks = Vec::new();
    for node in nodes(stage, 6).await {
        let (running, session) = (running.clone(), node.session().await);
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            loop {
                let claimed = node.claim("default", 2, session).await;
                let now = claimed.len() as u32;
                assert!(running.fetch_add(now, SeqCst) + now <= LIMIT);
                for job in &claimed {
                    // Counted down first: another may have its place as soon as the end is written.
                    running.fetch_sub(1, SeqCst);
                    assert_eq!(node.finish(lease(job), completed()).await, JobState::Completed);
                }
                done += claimed.len();
                let (_, totals) = node.store.queues().await.unwrap().remove(0);
                assert!(totals.count(JobState::Executing) <= u64::from(LIMIT));
                if totals.count(JobState::Available) == 0 {
                    return done;
                }
            }
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await.unwrap();
    }
    assert_eq!(done, 40);
    // What dies with its node takes no place with it.
    stage.apply((0..5).map(|_| enqueue(&job())).collect()).await;
    let (dead, next) = (stage.session().await, stage.session().await);
    assert_eq!(stage.claim("default", 10, dead).await.len(), LIMIT as usize);
    assert!(stage.claim("default", 10, next).await.is_empty());
    stage.one(rescue(dead, 10)).await;
    let held = stage.claim("default", 10, next).await;
    assert_eq!(held.len(), LIMIT as usize);
    assert_eq!(stage.one(limit(None)).await, Outcome::Done);
    assert_eq!(stage.claim("default", 10, next).await.len(), 2);
}
