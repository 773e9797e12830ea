//! When jobs run, in what order, and by what they are found: times, priorities and tags.

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{JobFilter, NewJob, QueueSettings},
};
use callboard_contracts::{EventType, JobState, Timestamp};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{DAY, SECOND, completed, enqueue, job, lease, of_queue, prune, retry},
};

fn at<B: Backend>(stage: &Stage<B>, seconds: u32) -> Timestamp {
    stage.now().saturating_add(seconds * SECOND)
}

fn tagged(tags: &[&str]) -> NewJob {
    NewJob { tags: tags.iter().map(|tag| (*tag).to_owned()).collect(), ..job() }
}

fn with_tag(tag: &str) -> JobFilter {
    JobFilter { tag: Some(tag.to_owned()), ..JobFilter::default() }
}

async fn claimed<B: Backend>(stage: &Stage<B>, limit: u32) -> Vec<Uuid> {
    let session = stage.session().await;
    stage.claim("default", limit, session).await.iter().map(|job| job.id).collect()
}

pub async fn a_job_with_a_time_waits_for_it<B: Backend>(stage: &mut Stage<B>) {
    let due = at(stage, 10);
    let later = NewJob { scheduled_at: Some(due), max_backlog: 1, ..job() };
    let scheduled = Outcome::Enqueued { state: JobState::Scheduled };
    assert_eq!(stage.one(enqueue(&later)).await, scheduled);
    let duplicate = Outcome::Duplicate { event_id: later.event_id, state: JobState::Scheduled };
    assert_eq!(stage.one(enqueue(&later)).await, duplicate);
    let full = Outcome::BacklogFull { waiting: 1, limit: 1 };
    assert_eq!(stage.one(enqueue(&NewJob { id: Uuid::now_v7(), ..later.clone() })).await, full);
    assert!(claimed(stage, 1).await.is_empty());
    let moved = |queues: &[&str], count, next_at| Outcome::Moved {
        queues: queues.iter().map(|name| (*name).to_owned()).collect(),
        count,
        next_at,
    };
    assert_eq!(stage.promote(10).await, moved(&[], 0, Some(due)));
    assert_eq!(stage.record(later.id).await.scheduled_at, due);
    stage.reopen().await;
    stage.pass(10 * SECOND);
    assert_eq!(stage.promote(10).await, moved(&["default"], 1, None));
    assert_eq!(stage.way(later.id).await, [EventType::Created, EventType::MadeAvailable]);
    assert_eq!(claimed(stage, 1).await, [later.id]);
}

pub async fn a_time_that_has_passed_is_now<B: Backend>(stage: &mut Stage<B>) {
    for passed in [Timestamp::MIN, stage.now().saturating_sub(SECOND), stage.now()] {
        let new = NewJob { scheduled_at: Some(passed), ..job() };
        assert_eq!(stage.one(enqueue(&new)).await, Outcome::Enqueued { state: JobState::Available });
        assert_eq!(
            stage.record(new.id).await.scheduled_at,
            stage.now(),
            "nobody pushes in by a time long gone"
        );
    }
    let never = NewJob { scheduled_at: Some(Timestamp::MAX), ..job() };
    assert_eq!(stage.one(enqueue(&never)).await, Outcome::Enqueued { state: JobState::Scheduled });
    assert_eq!(stage.record(never.id).await.scheduled_at, Timestamp::MAX);
}

pub async fn what_fell_due_first_goes_first<B: Backend>(stage: &mut Stage<B>) {
    let mut jobs: Vec<NewJob> = Vec::new();
    for seconds in [30, 10, 20, 10] {
        jobs.push(NewJob { scheduled_at: Some(at(stage, seconds)), ..job() });
    }
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    stage.pass(25 * SECOND);
    let now = job();
    stage.one(enqueue(&now)).await;
    stage.pass(25 * SECOND);
    // All are moved at one moment.
    stage.promote(10).await;
    let expected = [&jobs[1], &jobs[3], &jobs[2], &now, &jobs[0]].map(|job| job.id);
    assert_eq!(claimed(stage, 10).await, expected);
}

pub async fn the_highest_priority_goes_first<B: Backend>(stage: &mut Stage<B>) {
    let mut jobs: Vec<NewJob> = Vec::new();
    for priority in [0, -1000, 5, 0, 1000, 5, -1] {
        let new = NewJob { priority, ..job() };
        stage.one(enqueue(&new)).await;
        stage.pass(SECOND);
        jobs.push(new);
    }
    let records = stage.list(JobFilter::default()).await;
    assert!(records.iter().rev().map(|job| job.priority).eq(jobs.iter().map(|job| job.priority)));
    let expected: Vec<Uuid> = [4, 2, 5, 0, 3, 6, 1].map(|place| jobs[place].id).into();
    let mut found = claimed(stage, 2).await;
    found.extend(claimed(stage, 10).await);
    assert_eq!(found, expected);
}

pub async fn the_oldest_that_waits_is_found_at_every_priority<B: Backend>(stage: &mut Stage<B>) {
    let queue = QueueSettings { name: "default".into(), concurrency: 1, max_backlog: 10 };
    stage.one(Operation::PutQueues(vec![queue])).await;
    let oldest = async |stage: &Stage<B>| {
        let queues = stage.store.queues().await.unwrap();
        queues.into_iter().find(|(settings, _)| settings.name == "default").unwrap().1.oldest_available_at
    };
    assert_eq!(oldest(stage).await, None);
    let mut stored = Vec::new();
    for priority in [0, -7, 3, 3] {
        stored.push(stage.now());
        stage.one(enqueue(&NewJob { priority, ..job() })).await;
        stage.pass(SECOND);
        assert_eq!(oldest(stage).await, Some(stored[0]));
    }
    assert_eq!(claimed(stage, 2).await.len(), 2);
    assert_eq!(oldest(stage).await, Some(stored[0]));
    assert_eq!(claimed(stage, 1).await.len(), 1);
    assert_eq!(oldest(stage).await, Some(stored[1]), "the one that goes last");
    assert_eq!(claimed(stage, 1).await.len(), 1);
    assert_eq!(oldest(stage).await, None);
}

pub async fn jobs_are_found_by_their_tags<B: Backend>(stage: &mut Stage<B>) {
    let mut jobs = Vec::new();
    for number in 0..30 {
        let tags = match number % 3 {
            0 => tagged(&["customer:1", "urgent"]),
            1 => tagged(&["customer:2"]),
            _ => tagged(&[]),
        };
        let queue = ["default", "mail"][number % 2].to_owned();
        jobs.push(NewJob { queue, ..tags });
    }
    let (first, second) = jobs.split_at(17);
    stage.apply(first.iter().map(enqueue).collect()).await;
    // One in the same batch that is there already, and one that has no room.
    let full = NewJob { max_backlog: 0, ..tagged(&["urgent"]) };
    let batch = second.iter().chain([&first[0], &full]).map(enqueue).collect();
    stage.apply(batch).await;
    for reopened in [false, true] {
        if reopened {
            stage.reopen().await;
        }
        for tag in ["customer:1", "customer:2", "urgent", "customer:", "nobody's"] {
            let expected: Vec<Uuid> = jobs
                .iter()
                .rev()
                .filter(|job| job.tags.iter().any(|own| own == tag))
                .map(|job| job.id)
                .collect();
            let found = stage.list(with_tag(tag)).await;
            assert_eq!(found.iter().map(|job| job.id).collect::<Vec<_>>(), expected, "{tag}");
            let filter =
                JobFilter { queue: Some("mail".into()), states: vec![JobState::Available], ..with_tag(tag) };
            let expected = found.iter().filter(|job| job.queue == "mail").map(|job| job.id);
            assert!(stage.list(filter).await.iter().map(|job| job.id).eq(expected), "{tag}");
        }
    }
    for new in &jobs {
        assert_eq!(stage.record(new.id).await.tags, new.tags);
    }
    let found = stage.store.jobs(with_tag("urgent"), 3).await.unwrap();
    let next = JobFilter { before: Some(found[2].sequence), ..with_tag("urgent") };
    assert_eq!(found.len() + stage.list(next).await.len(), 10);

    // Deleted jobs are not found, and their tags are free for others.
    let session = stage.session().await;
    for job in stage.claim("default", 5, session).await {
        stage.finish(lease(&job), completed()).await;
    }
    stage.pass(2 * DAY);
    assert_eq!(stage.prune(prune(2)).await.0, 5);
    let left = stage.list(JobFilter::default()).await;
    assert_eq!(left.len(), 25);
    for tag in ["customer:1", "customer:2"] {
        let expected = left.iter().filter(|job| job.tags.iter().any(|own| own == tag)).map(|job| job.id);
        assert!(stage.list(with_tag(tag)).await.iter().map(|job| job.id).eq(expected), "{tag}");
    }
}

pub async fn a_replay_keeps_priority_tags_and_key<B: Backend>(stage: &mut Stage<B>) {
    let queue = QueueSettings { name: "default".into(), concurrency: 1, max_backlog: 10 };
    stage.one(Operation::PutQueues(vec![queue])).await;
    let key = Some("customer 42".to_owned());
    let new = NewJob {
        priority: 7,
        scheduled_at: Some(at(stage, 1)),
        partition_key: key.clone(),
        ..tagged(&["a", "b"])
    };
    stage.one(enqueue(&new)).await;
    assert_eq!(stage.record(new.id).await.partition_key, key);
    stage.one(Operation::Cancel { id: new.id }).await;
    let Outcome::Replayed { id, state, .. } = stage.one(retry(new.id)).await else {
        panic!("it is finished")
    };
    assert_eq!(state, JobState::Available, "it was asked for now");
    let replay = stage.record(id).await;
    assert_eq!((replay.priority, &replay.tags, &replay.partition_key), (7, &new.tags, &key));
    for tag in ["a", "b"] {
        let found: Vec<Uuid> = stage.list(with_tag(tag)).await.iter().map(|job| job.id).collect();
        assert_eq!(found, [id, new.id]);
    }
    let listed = stage.list(of_queue("default")).await;
    assert!(listed.len() == 2 && listed.iter().all(|job| job.partition_key == key));
    let session = stage.session().await;
    let claimed = stage.claim("default", 1, session).await;
    assert_eq!((claimed[0].id, &claimed[0].partition_key), (id, &key));
    let again = Operation::Reclaim { queue: "default".into(), limit: 9, session, known: Vec::new() };
    assert_eq!(stage.one(again).await, Outcome::Claimed(claimed));
}
