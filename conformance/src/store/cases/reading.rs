//! Reading jobs, queues, job types and settings.

use std::time::Duration;

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{JobFilter, JobRecord, JobTypeRecord, NewJob, QueueSettings},
};
use callboard_contracts::JobState;
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{SECOND, completed, enqueue, failed, job, lease},
};

pub async fn lists_are_filtered_and_paged_without_gaps_while_jobs_are_added<B: Backend>(
    stage: &mut Stage<B>,
) {
    let session = stage.session().await;
    for number in 0..60 {
        let queue = ["mail", "default"][number % 2].to_owned();
        let job_type = ["a", "b", "c"][number % 3].to_owned();
        stage.one(enqueue(&NewJob { queue, job_type, ..job() })).await;
    }
    for job in stage.claim("mail", 10, session).await {
        stage.finish(lease(&job), completed()).await;
    }
    let all = stage.list(JobFilter::default()).await;
    assert!(all.is_sorted_by(|one, next| one.sequence > next.sequence));
    for states in [vec![], vec![JobState::Completed], vec![JobState::Available, JobState::Completed]] {
        for queue in [None, Some("mail".to_owned()), Some("nowhere".to_owned())] {
            for job_type in [None, Some("b".to_owned())] {
                let filter = JobFilter {
                    states: states.clone(),
                    queue: queue.clone(),
                    job_type,
                    ..JobFilter::default()
                };
                let fits = |job: &&JobRecord| {
                    (filter.states.is_empty() || filter.states.contains(&job.state))
                        && filter.queue.as_ref().is_none_or(|queue| *queue == job.queue)
                        && filter.job_type.as_ref().is_none_or(|job_type| *job_type == job.job_type)
                };
                let expected: Vec<Uuid> = all.iter().filter(fits).map(|job| job.id).collect();
                let mut paged = Vec::new();
                let mut before = None;
                loop {
                    let page = stage.store.jobs(JobFilter { before, ..filter.clone() }, 7).await.unwrap();
                    // What comes now is newer than all that is still to be shown.
                    stage.one(enqueue(&NewJob { queue: "later".into(), ..job() })).await;
                    let Some(last) = page.last() else { break };
                    before = Some(last.sequence);
                    paged.extend(page.iter().map(|job| job.id));
                }
                paged.retain(|id| all.iter().any(|job| job.id == *id));
                assert_eq!(paged, expected, "{filter:?}");
            }
        }
    }
    assert!(stage.store.jobs(JobFilter::default(), 0).await.unwrap().is_empty());
    let first = JobFilter { before: Some(all.last().unwrap().sequence), ..JobFilter::default() };
    assert!(stage.store.jobs(first, 10).await.unwrap().is_empty());
    let far = JobFilter { before: Some(u64::MAX), ..JobFilter::default() };
    assert_eq!(stage.store.jobs(far, 3).await.unwrap().len(), 3);
}

pub async fn jobs_are_found_by_their_ids<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let jobs: Vec<NewJob> = (0..5).map(|_| NewJob { payload: r#"{"a":1}"#.into(), ..job() }).collect();
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let claimed = stage.claim("default", 2, session).await;
    stage.finish(lease(&claimed[0]), completed()).await;
    stage.finish(lease(&claimed[1]), failed(None)).await;
    let mut wanted: Vec<Uuid> = jobs.iter().take(3).map(|job| job.id).collect();
    wanted.push(Uuid::now_v7());
    wanted.push(jobs[0].id);
    let mut found = stage.store.jobs_by_id(wanted).await.unwrap();
    found.sort_by_key(|job| job.sequence);
    let states: Vec<_> = found.iter().map(|job| (job.id, job.state, job.last_error.as_deref())).collect();
    let expected = [
        (jobs[0].id, JobState::Completed, None),
        (jobs[1].id, JobState::Discarded, Some("no luck")),
        (jobs[2].id, JobState::Available, None),
    ];
    assert_eq!(states, expected);
    assert!(stage.store.jobs_by_id(Vec::new()).await.unwrap().is_empty());
    assert!(stage.store.job(Uuid::now_v7()).await.unwrap().is_none());
    // What is long is left out of lists.
    let listed = stage.list(JobFilter::default()).await;
    assert!(
        listed.iter().all(|job| job.payload.is_empty() && job.metadata.is_none() && job.result.is_none())
    );
}

pub async fn queues_are_those_made_known_and_those_with_jobs<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    assert!(stage.store.queues().await.unwrap().is_empty());
    let settings =
        |name: &str, concurrency, max_backlog| QueueSettings { name: name.into(), concurrency, max_backlog };
    let known = vec![settings("mail", 3, 10), settings("huge", u32::MAX, u64::MAX >> 1)];
    for _ in 0..2 {
        assert_eq!(stage.one(Operation::PutQueues(known.clone())).await, Outcome::Done);
    }
    assert_eq!(stage.one(Operation::PutQueues(vec![])).await, Outcome::Done);
    let changed = vec![settings("mail", 4, 11)];
    assert_eq!(stage.one(Operation::PutQueues(changed.clone())).await, Outcome::Done);
    let begin = stage.now();
    stage.apply((0..3).map(|_| enqueue(&NewJob { queue: "other".into(), ..job() })).collect()).await;
    let oldest = async |stage: &Stage<B>, queue: &str| {
        let queues = stage.store.queues().await.unwrap();
        queues.into_iter().find(|(settings, _)| settings.name == queue).unwrap().1.oldest_available_at
    };
    assert_eq!(oldest(stage, "other").await, Some(begin));
    stage.pass(SECOND);
    stage.one(enqueue(&NewJob { queue: "other".into(), ..job() })).await;
    let claimed = stage.claim("other", 3, session).await;
    assert_eq!(oldest(stage, "other").await, Some(stage.now()));
    stage.finish(lease(&claimed[0]), completed()).await;
    let queues = stage.store.queues().await.unwrap();
    let names: Vec<&str> = queues.iter().map(|(settings, _)| &*settings.name).collect();
    assert_eq!(names, ["huge", "mail", "other"], "in the order of their names");
    assert_eq!((&queues[0].0, &queues[1].0), (&known[1], &changed[0]));
    assert_eq!(queues[2].0, settings("other", 0, 0), "nobody has made it known");
    let totals = &queues[2].1;
    assert_eq!(
        [JobState::Available, JobState::Executing, JobState::Completed].map(|s| totals.count(s)),
        [1, 2, 1]
    );
    assert_eq!((totals.backlog(), oldest(stage, "mail").await), (1, None));
}

pub async fn job_types_and_settings_are_kept<B: Backend>(stage: &mut Stage<B>) {
    assert!(stage.store.job_types().await.unwrap().is_empty());
    let record = |name: &str, description: &str| JobTypeRecord {
        job_type: name.into(),
        description: description.into(),
        queue: "default".into(),
        payload_schema: r#"{"type": "object",  "b":1,"a":2}"#.into(),
        result_schema: "true".into(),
        max_attempts: u32::MAX,
        timeout: Duration::from_micros(1_500),
    };
    let types = vec![record("b", "it's \"b\""), record("a", "")];
    for _ in 0..2 {
        assert_eq!(stage.one(Operation::PutJobTypes(types.clone())).await, Outcome::Done);
    }
    assert_eq!(stage.one(Operation::PutJobTypes(vec![record("a", "another")])).await, Outcome::Done);
    assert_eq!(stage.one(Operation::PutJobTypes(vec![])).await, Outcome::Done);
    assert_eq!(stage.store.setting("colour".into()).await.unwrap(), None);
    let put = |value: &str| Operation::PutSetting { key: "colour".into(), value: value.into() };
    for value in [r#""red""#, r#""red""#, r#"{"b": 1.0,"a":[]}"#] {
        assert_eq!(stage.one(put(value)).await, Outcome::Done);
        assert_eq!(stage.store.setting("colour".into()).await.unwrap().as_deref(), Some(value));
    }
    stage.kill().await;
    assert_eq!(stage.store.job_types().await.unwrap(), [record("a", "another"), types[0].clone()]);
    let kept = stage.store.setting("colour".into()).await.unwrap();
    assert_eq!(kept.as_deref(), Some(r#"{"b": 1.0,"a":[]}"#));
}

pub async fn the_totals_say_when_the_last_job_ended<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    assert_eq!(stage.store.totals().await.unwrap(), callboard_contracts::api::Totals::default());
    stage.apply((0..3).map(|_| enqueue(&job())).collect()).await;
    let claimed = stage.claim("default", 2, session).await;
    stage.pass(SECOND);
    stage.finish(lease(&claimed[0]), completed()).await;
    stage.pass(SECOND);
    stage.finish(lease(&claimed[1]), failed(None)).await;
    let ended = stage.now();
    stage.pass(SECOND);
    stage.one(enqueue(&job())).await;
    stage.kill().await;
    let totals = stage.store.totals().await.unwrap();
    assert_eq!((totals.total_jobs, totals.completed_jobs, totals.failed_jobs), (2, 1, 1));
    assert_eq!(totals.last_event_time, Some(ended));
}
