//! Keys: they take turns, and limits by key and by time are never passed.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{ClaimedJob, JobFilter, Limits, NewJob, QueueSettings, Standing},
};
use callboard_contracts::{JobState, Timestamp, api::QueueLimits};
use parking_lot::Mutex;
use tokio::task::{JoinSet, yield_now};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    chance::Chance,
    client::Client,
    stage::Stage,
    words::{DAY, SECOND, claim, completed, enqueue, failed, job, lease, pausing, prune, rescue},
};

fn keyed(key: &str) -> NewJob {
    NewJob { partition_key: (!key.is_empty()).then(|| key.to_owned()), max_attempts: 1_000_000, ..job() }
}

async fn known(client: &Client) {
    let queue = QueueSettings { name: "default".into(), concurrency: 50, max_backlog: 1_000_000 };
    assert_eq!(client.one(Operation::PutQueues(vec![queue])).await, Outcome::Done);
}

async fn limit(client: &Client, limits: QueueLimits) {
    let limit = Operation::LimitQueue { queue: "default".into(), limits };
    assert_eq!(client.one(limit).await, Outcome::Done);
}

async fn store(client: &Client, key: &str, count: usize) -> Vec<Uuid> {
    let jobs: Vec<NewJob> = (0..count).map(|_| keyed(key)).collect();
    client.apply(jobs.iter().map(enqueue).collect()).await;
    jobs.iter().map(|job| job.id).collect()
}

/// What a claim gives, and when to ask again.
async fn claims(client: &Client, limit: u32, session: Uuid) -> (Vec<ClaimedJob>, Option<Timestamp>) {
    match client.one(claim("default", limit, session)).await {
        Outcome::Claimed(jobs) => (jobs, None),
        Outcome::ClaimedInPart { jobs, again_at } => (jobs, Some(again_at)),
        other => panic!("{other:?}"),
    }
}

fn keys(jobs: &[ClaimedJob]) -> Vec<&str> {
    jobs.iter().map(|job| job.partition_key.as_deref().unwrap_or_default()).collect()
}

fn per_key(most: u32) -> QueueLimits {
    QueueLimits { max_running_per_key: Some(Some(most)), ..QueueLimits::default() }
}

pub async fn keys_take_turns<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    let first = store(stage, "a", 20).await;
    for (key, count) in [("b", 3), ("", 2), ("ä", 1)] {
        store(stage, key, count).await;
    }
    let urgent = NewJob { priority: 5, ..keyed("b") };
    stage.one(enqueue(&urgent)).await;
    let session = stage.session().await;
    let one = stage.claim("default", 6, session).await;
    assert_eq!(keys(&one), ["a", "b", "ä", "", "a", "b"]);
    assert_eq!(
        (one[0].id, one[1].id, one[4].id),
        (first[0], urgent.id, first[1]),
        "in a key by priority and age"
    );
    assert!(one.windows(2).all(|pair| pair[0].token != pair[1].token));
    // The next goes on where that one ended, also after a restart.
    stage.kill().await;
    let session = stage.session().await;
    assert_eq!(keys(&stage.claim("default", 4, session).await), ["", "a", "b", "a"]);
    assert_eq!(keys(&stage.claim("default", 1, session).await), ["b"]);
    let rest = stage.claim("default", 100, session).await;
    assert_eq!((rest.len(), keys(&rest)), (16, vec!["a"; 16]));
    assert!(stage.claim("default", 1, session).await.is_empty());
}

pub async fn small_claims_are_as_fair_as_large_ones<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    let mut chance = Chance::new();
    let heavy = ["", "a", "b", "c"];
    for key in heavy {
        store(stage, key, 200).await;
    }
    let session = stage.session().await;
    let mut served: HashMap<String, i64> = HashMap::new();
    let mut waiting: BTreeMap<Uuid, u32> = BTreeMap::new();
    for _ in 0..60 {
        // Somebody with one job waits for no more than one turn of each of the others.
        if chance.one_in(3) {
            let id = store(stage, &format!("light {}", chance.below(5)), 1).await[0];
            waiting.insert(id, 0);
        }
        for job in stage.claim("default", 1 + chance.below(9), session).await {
            *served.entry(job.partition_key.clone().unwrap_or_default()).or_default() += 1;
            waiting.remove(&job.id);
            waiting.values_mut().for_each(|turns| *turns += 1);
        }
        assert!(waiting.values().all(|turns| *turns <= 60), "{waiting:?}");
        let counts: Vec<i64> = heavy.iter().map(|key| served.get(*key).copied().unwrap_or(0)).collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        assert!(most - least <= 1, "{counts:?}");
    }
}

pub async fn keys_at_their_limit_do_not_hold_up_the_others<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    limit(stage, per_key(1)).await;
    let jobs =
        (0..1200).flat_map(|number| [keyed(&format!("key {number:04}")), keyed(&format!("key {number:04}"))]);
    stage.apply(jobs.map(|job| enqueue(&job)).collect()).await;
    let session = stage.session().await;
    let mut running = BTreeSet::new();
    // A claim looks at so many keys and no more, and the next goes on there.
    for _ in 0..12 {
        let (claimed, again_at) = claims(stage, 2_000, session).await;
        assert!(again_at.is_some_and(|at| at <= stage.now().saturating_add(SECOND)), "{again_at:?}");
        assert!(claimed.len() <= 512);
        for job in claimed {
            assert!(running.insert(job.partition_key.unwrap()), "one of each");
        }
    }
    assert_eq!(running.len(), 1200);
    let late = store(stage, "key 0600 b", 1).await[0];
    let mut found = Vec::new();
    for _ in 0..4 {
        found.extend(stage.claim("default", 1, session).await);
    }
    assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), [late]);
    // Jobs without a key have no such limit.
    store(stage, "", 5).await;
    for _ in 0..4 {
        found.extend(stage.claim("default", 5, session).await);
    }
    assert_eq!(found.len(), 6);
    let free = stage.finish(lease(&found[0]), completed()).await;
    assert_eq!(free, JobState::Completed);
}

pub async fn many_keys_are_served_one_by_one<B: Backend>(stage: &mut Stage<B>) {
    const KEYS: usize = 700;
    known(stage).await;
    let jobs = (0..KEYS * 3).map(|number| keyed(&format!("key {:04}", number % KEYS)));
    stage.apply(jobs.map(|job| enqueue(&job)).collect()).await;
    let session = stage.session().await;
    let mut served: BTreeMap<String, u32> = BTreeMap::new();
    for wanted in [300, 1_000, 1, 700, 50, 1_000, 1_000, 1_000] {
        for job in stage.claim("default", wanted, session).await {
            *served.entry(job.partition_key.unwrap()).or_default() += 1;
        }
        let most = served.values().max().unwrap();
        let least = if served.len() < KEYS { &0 } else { served.values().min().unwrap() };
        assert!(most - least <= 1, "{most} of one key, {least} of another");
    }
    assert!(served.values().all(|count| *count == 3), "all are served");
}

/// Eight claimers, of which one after the other is killed, on a queue whose keys may have two jobs at once and which may
/// have seven.
pub async fn limits_by_key_are_never_passed<B: Backend>(stage: &mut Stage<B>) {
    const JOBS: usize = 300;
    const CLAIMERS: usize = 8;
    known(stage).await;
    limit(stage, QueueLimits { max_running: Some(Some(7)), ..per_key(2) }).await;
    for key in ["a", "b", "c", "d", "e"] {
        store(stage, key, JOBS / 5).await;
    }
    let mut nodes = vec![(**stage).clone()];
    for number in 1..4 {
        nodes.push(stage.another(&format!("node-{number}")).await);
    }
    let mut chance = Chance::new();
    // Who has a job, as far as anybody knows; those of killed claimers until they are rescued.
    let running: Arc<Mutex<HashMap<Uuid, (Uuid, String)>>> = Arc::default();
    let begin = async |number: usize, chance: &mut Chance| {
        let (client, running, mut chance) = (nodes[number % 4].clone(), running.clone(), chance.fork());
        let session = client.session().await;
        let work = async move {
            loop {
                let (jobs, _) = claims(&client, 1 + chance.below(4), session).await;
                {
                    let mut running = running.lock();
                    for job in &jobs {
                        running.insert(job.id, (session, job.partition_key.clone().unwrap()));
                    }
                    let mut counts: HashMap<&str, u32> = HashMap::new();
                    running.values().for_each(|(_, key)| *counts.entry(key).or_default() += 1);
                    assert!(running.len() <= 7 && counts.values().all(|count| *count <= 2), "{running:?}");
                }
                for job in &jobs {
                    yield_now().await;
                    // Counted down first: another may have its place as soon as the end is written.
                    running.lock().remove(&job.id);
                    let end = match chance.below(4) {
                        0 => callboard_actors::edges::store::record::AttemptEnd::Released,
                        1 => failed(None),
                        _ => completed(),
                    };
                    client.finish(lease(job), end).await;
                }
            }
        };
        (session, tokio::spawn(work))
    };
    let mut claimers = Vec::new();
    for number in 0..CLAIMERS {
        claimers.push(begin(number, &mut chance).await);
    }
    let done = async || {
        let (_, totals) = stage.store.queues().await.unwrap().remove(0);
        assert!(totals.count(JobState::Executing) <= 7);
        totals.count(JobState::Completed) + totals.count(JobState::Discarded)
    };
    while done().await < JOBS as u64 {
        assert!(!claimers.iter().any(|(_, claimer)| claimer.is_finished()), "a claimer failed");
        for _ in 0..chance.below(30) {
            yield_now().await;
        }
        let number = chance.below(CLAIMERS as u32) as usize;
        let (session, claimer) = &claimers[number];
        claimer.abort();
        while !claimer.is_finished() {
            yield_now().await;
        }
        running.lock().retain(|_, (of, _)| of != session);
        stage.one(rescue(*session, 1000)).await;
        claimers[number] = begin(number, &mut chance).await;
    }
    claimers.iter().for_each(|(_, claimer)| claimer.abort());
    let jobs = stage.list(JobFilter::default()).await;
    assert!(jobs.len() == JOBS && jobs.iter().all(|job| job.state.is_final()));
}

/// Whether any time as long as the period has more than so many of these.
fn passes(times: &[Timestamp], jobs: usize, period: Duration) -> bool {
    times.iter().any(|from| {
        let end = from.saturating_add(period);
        times.iter().filter(|at| (*from..end).contains(*at)).count() > jobs
    })
}

pub async fn rates_are_never_passed_and_always_reached<B: Backend>(stage: &mut Stage<B>) {
    const PERIOD: Duration = Duration::from_secs(60);
    known(stage).await;
    let rates = QueueLimits {
        rate: Some(Some("10/1m".parse().unwrap())),
        rate_per_key: Some(Some("3/60s".parse().unwrap())),
        ..QueueLimits::default()
    };
    limit(stage, rates).await;
    for key in ["a", "b", "c", "d", "e", ""] {
        store(stage, key, 150).await;
    }
    let mut chance = Chance::new();
    let mut times: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    let mut all = Vec::new();
    let began = stage.now();
    let mut session = stage.session().await;
    for _ in 0..150 {
        let (jobs, again_at) = claims(stage, 1 + chance.below(12), session).await;
        for job in &jobs {
            times.entry(job.partition_key.clone().unwrap_or_default()).or_default().push(stage.now());
            all.push(stage.now());
            if chance.one_in(3) {
                // It has been claimed all the same.
                stage.finish(lease(job), callboard_actors::edges::store::record::AttemptEnd::Released).await;
            }
        }
        match again_at {
            Some(at) if chance.one_in(2) => {
                stage.pass(at.saturating_since(stage.now()));
                let (jobs, _) = claims(stage, 1, session).await;
                assert_eq!(jobs.len(), 1, "whoever comes when he is told to gets something");
                for job in &jobs {
                    times.entry(job.partition_key.clone().unwrap_or_default()).or_default().push(stage.now());
                    all.push(stage.now());
                }
            }
            _ => stage.pass(Duration::from_millis(chance.below(9_000).into())),
        }
        if chance.one_in(40) {
            // What was counted is counted over restarts.
            stage.kill().await;
            session = stage.session().await;
        }
    }
    assert!(!passes(&all, 10, PERIOD), "{all:?}");
    for (key, times) in &times {
        assert!(key.is_empty() || !passes(times, 3, PERIOD), "{key}: {times:?}");
    }
    // Of each key there was always something to claim.
    let periods = stage.now().saturating_since(began).as_secs_f64() / (1.1 * PERIOD.as_secs_f64());
    println!("{} claims in {periods} times 1.1 periods", all.len());
    // What no rate looks at any more goes.
    let standing = async || stage.store.standing("default".into(), Some("a".into())).await.unwrap();
    stage.pass(3 * PERIOD);
    assert_eq!(standing().await, Standing { executing: standing().await.executing, ..Standing::default() });
    assert_eq!(
        stage.one(stage.pruning(prune(1000))).await,
        Outcome::Pruned { jobs: 0, events: 0, more: false }
    );
    assert_eq!(stage.claim("default", 20, session).await.len(), 10);
    stage.pass(DAY);
    assert_eq!(stage.claim("default", 20, session).await.len(), 10);
}

pub async fn rates_hold_for_many_claimers_at_once<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    let rates = QueueLimits {
        rate: Some("20/1m".parse().ok()),
        rate_per_key: Some("6/1m".parse().ok()),
        ..QueueLimits::default()
    };
    limit(stage, rates).await;
    for key in ["a", "b", "c", "d", "e"] {
        store(stage, key, 30).await;
    }
    let mut claimers = JoinSet::new();
    let nodes = [(**stage).clone(), stage.another("node-1").await, stage.another("node-2").await];
    for number in 0..8 {
        let node = nodes[number % 3].clone();
        let session = node.session().await;
        claimers.spawn(async move {
            let mut all = Vec::new();
            for wanted in [1, 3, 1, 9, 2, 1] {
                all.extend(claims(&node, wanted, session).await.0);
            }
            all
        });
    }
    let all = claimers.join_all().await.concat();
    assert_eq!(all.len(), 20, "no more than the rate, and no fewer");
    let mut counts: HashMap<&str, u32> = HashMap::new();
    keys(&all).into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
    assert!(counts.values().all(|count| (3..=6).contains(count)), "{counts:?}");
}

pub async fn a_rate_says_when_to_ask_again<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    // A slice is a second long here.
    stage.pass(Duration::from_micros(1_000_000 - stage.now().as_micros() as u64 % 1_000_000));
    store(stage, "a", 20).await;
    let session = stage.session().await;
    let rate = QueueLimits { rate_per_key: Some(Some("2/10s".parse().unwrap())), ..QueueLimits::default() };
    limit(stage, rate).await;
    let begin = stage.now();
    let at = |seconds: u32| Some(begin.saturating_add(seconds * SECOND));
    assert_eq!(stage.claim("default", 1, session).await.len(), 1);
    stage.pass(3 * SECOND);
    let (jobs, again_at) = claims(stage, 9, session).await;
    assert_eq!((jobs.len(), again_at), (1, at(11)));
    assert_eq!(claims(stage, 9, session).await, (Vec::new(), at(11)));
    let standing = stage.store.standing("default".into(), Some("a".into())).await.unwrap();
    assert_eq!(standing, Standing { executing: 2, rate_free_at: None, key_free_at: at(11) });
    let other = stage.store.standing("default".into(), Some("b".into())).await.unwrap();
    assert_eq!(other, Standing::default());
    // Others go on meanwhile.
    store(stage, "b", 1).await;
    let (jobs, again_at) = claims(stage, 9, session).await;
    assert_eq!((keys(&jobs), again_at), (vec!["b"], at(11)));
    stage.pass(8 * SECOND);
    let (jobs, again_at) = claims(stage, 9, session).await;
    assert_eq!((jobs.len(), again_at), (1, at(14)));
    // The queue's rate stands above those of the keys.
    let both = QueueLimits { rate: Some(Some("1/10s".parse().unwrap())), ..rate };
    limit(stage, both).await;
    stage.pass(3 * SECOND);
    let (jobs, again_at) = claims(stage, 9, session).await;
    assert_eq!((jobs.len(), again_at), (1, at(25)));
    let standing = stage.store.standing("default".into(), None).await.unwrap();
    assert_eq!(standing, Standing { executing: 0, rate_free_at: at(25), key_free_at: None });
    assert_eq!(claims(stage, 9, session).await, (Vec::new(), at(25)));
    // Without a rate nothing is held back any more, but what keys say.
    limit(stage, QueueLimits { rate: Some(None), rate_per_key: Some(None), ..QueueLimits::default() }).await;
    assert_eq!(stage.claim("default", 99, session).await.len(), 16);
}

pub async fn a_rate_holds_also_for_jobs_without_keys<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    stage.apply((0..10).map(|_| enqueue(&job())).collect()).await;
    limit(stage, QueueLimits { rate: Some(Some("4/1h".parse().unwrap())), ..per_key(1) }).await;
    let session = stage.session().await;
    let (jobs, again_at) = claims(stage, 3, session).await;
    assert_eq!((jobs.len(), again_at), (3, None));
    let (jobs, again_at) = claims(stage, 3, session).await;
    assert!(jobs.len() == 1 && again_at.is_some_and(|at| at > stage.now()));
    stage.reopen().await;
    let session = stage.session().await;
    assert!(claims(stage, 3, session).await.0.is_empty());
    stage.pass(2 * Duration::from_secs(3600));
    assert_eq!(claims(stage, 9, session).await.0.len(), 4);
}

pub async fn limits_are_changed_one_by_one<B: Backend>(stage: &mut Stage<B>) {
    let unknown = Operation::LimitQueue { queue: "default".into(), limits: per_key(1) };
    assert_eq!(stage.one(unknown).await, Outcome::NotFound);
    known(stage).await;
    let limits = async |stage: &Stage<B>| stage.store.queues().await.unwrap().remove(0).1.limits;
    assert_eq!(limits(stage).await, Limits::default());
    let rate = "7/1d".parse().unwrap();
    let all = QueueLimits {
        max_running: Some(Some(3)),
        rate: Some(Some(rate)),
        rate_per_key: Some(Some(rate)),
        ..per_key(2)
    };
    limit(stage, all).await;
    known(stage).await;
    stage.reopen().await;
    let expected = Limits {
        max_running: Some(3),
        max_running_per_key: Some(2),
        rate: Some(rate),
        rate_per_key: Some(rate),
    };
    assert_eq!(limits(stage).await, expected);
    limit(stage, QueueLimits { rate: Some(None), ..QueueLimits::default() }).await;
    assert_eq!(limits(stage).await, Limits { rate: None, ..expected });
    limit(stage, QueueLimits::default()).await;
    assert_eq!(limits(stage).await, Limits { rate: None, ..expected });
}

pub async fn the_oldest_that_waits_is_found_with_and_without_key<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    let oldest = async |stage: &Stage<B>| stage.store.queues().await.unwrap().remove(0).1.oldest_available_at;
    let session = stage.session().await;
    let mut since = Vec::new();
    for key in ["b", "", "a", "b"] {
        since.push(stage.now());
        store(stage, key, 1).await;
        stage.pass(SECOND);
        assert_eq!(oldest(stage).await, Some(since[0]));
    }
    let claimed = stage.claim("default", 2, session).await;
    assert_eq!(keys(&claimed), ["a", "b"]);
    assert_eq!(oldest(stage).await, Some(since[1]));
    assert_eq!(keys(&stage.claim("default", 1, session).await), [""]);
    assert_eq!(oldest(stage).await, Some(since[3]));
}

pub async fn a_paused_queue_gives_no_keys_either<B: Backend>(stage: &mut Stage<B>) {
    known(stage).await;
    store(stage, "a", 3).await;
    let session = stage.session().await;
    stage.one(pausing("default", true)).await;
    assert_eq!(claims(stage, 9, session).await, (Vec::new(), None));
    stage.one(pausing("default", false)).await;
    stage.one(rescue(session, 1)).await;
    assert_eq!(stage.one(claim("default", 9, session)).await, Outcome::NotFound, "its session is closed");
    let session = stage.session().await;
    assert_eq!(claims(stage, 9, session).await.0.len(), 3);
}
