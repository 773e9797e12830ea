//! What each operation does, in each state, once and twice.

use std::time::Duration;

use callboard_actors::edges::store::{
    Operation, Outcome, Renewal,
    record::{AttemptEnd, JobFilter, Lease, NewJob, Retention},
};
use callboard_contracts::{EventType, JobState, api::LogCursor};
use uuid::Uuid;

use super::harness::{
    DAY, Stage, completed, enqueue, error, failed, finish, job, keep, kind, lease, promote, prune, rescue,
    retry,
};

#[tokio::test]
async fn a_job_is_stored_once_whoever_sends_it_again() {
    let stage = Stage::new();
    let first = job();
    assert_eq!(stage.one(enqueue(&first)).await, Outcome::Enqueued { state: JobState::Available });
    let again = NewJob { event_id: Uuid::now_v7(), ..first.clone() };
    let duplicate = Outcome::Duplicate { event_id: first.event_id, state: JobState::Available };
    assert_eq!(stage.one(enqueue(&again)).await, duplicate);
    let other = NewJob { fingerprint: [8; 32], ..first.clone() };
    assert_eq!(stage.one(enqueue(&other)).await, Outcome::Conflict);
    // Twice within one batch is no different.
    let second = job();
    let outcomes = stage.apply(vec![enqueue(&second), enqueue(&second)]).await;
    assert!(matches!(outcomes[..], [Outcome::Enqueued { .. }, Outcome::Duplicate { .. }]), "{outcomes:?}");
    assert_eq!(stage.log().await.len(), 2);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 2);
}

#[tokio::test]
async fn a_full_backlog_refuses_new_jobs_and_no_others() {
    let stage = Stage::new();
    let limited = || NewJob { max_backlog: 3, ..job() };
    let batch: Vec<_> = (0..5).map(|_| enqueue(&limited())).collect();
    let outcomes = stage.apply(batch).await;
    let full = Outcome::BacklogFull { waiting: 3, limit: 3 };
    assert_eq!(outcomes[3..], [full.clone(), full.clone()]);
    assert_eq!(
        stage.one(enqueue(&NewJob { queue: "other".into(), ..limited() })).await,
        Outcome::Enqueued { state: JobState::Available }
    );
    // What is executing does not wait.
    let session = stage.session().await;
    assert_eq!(stage.claim("default", 1, session).await.len(), 1);
    assert_eq!(stage.one(enqueue(&limited())).await, Outcome::Enqueued { state: JobState::Available });
    assert_eq!(stage.one(enqueue(&limited())).await, full);
}

#[tokio::test]
async fn claims_go_first_come_first_served_with_tokens_that_grow() {
    let stage = Stage::new();
    let session = stage.session().await;
    let jobs: Vec<NewJob> = (0..7).map(|_| job()).collect();
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    assert!(stage.claim("nowhere", 10, session).await.is_empty());
    assert!(stage.claim("default", 0, session).await.is_empty());
    let mut claimed = stage.claim("default", 3, session).await;
    claimed.extend(stage.claim("default", 100, session).await);
    assert!(stage.claim("default", 100, session).await.is_empty());
    let ids: Vec<Uuid> = claimed.iter().map(|job| job.id).collect();
    assert_eq!(ids, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
    assert!(claimed.is_sorted_by(|one, next| one.token < next.token));
    assert!(claimed.iter().all(|job| job.attempt == 1));
}

#[tokio::test]
async fn only_the_current_lease_can_write() {
    let stage = Stage::new();
    let session = stage.session().await;
    let new = job();
    stage.one(enqueue(&new)).await;
    let first = lease(&stage.claim("default", 1, session).await[0]);
    let start = |lease| Operation::Start { lease, started_at: stage.now() };
    assert_eq!(stage.one(start(first)).await, Outcome::Started { cancel_requested: false });
    assert_eq!(stage.one(start(first)).await, Outcome::Started { cancel_requested: false });
    let at = stage.now();
    let retryable = Outcome::Finished { state: JobState::Retryable };
    assert_eq!(stage.one(finish(first, failed(Some(at)))).await, retryable);
    stage.one(promote(10)).await;
    let second = lease(&stage.claim("default", 1, session).await[0]);
    assert!(second.token > first.token);
    // What the first attempt still wants to say changes nothing, whatever it is.
    for late in [start(first), finish(first, completed()), finish(first, AttemptEnd::Released)] {
        assert_eq!(stage.one(late).await, Outcome::Stale);
    }
    let guessed = Lease { token: second.token + 1, ..second };
    assert_eq!(stage.one(finish(guessed, completed())).await, Outcome::Stale);
    assert_eq!(stage.one(start(Lease { id: Uuid::now_v7(), token: 1 })).await, Outcome::Stale);
    assert_eq!(stage.state(new.id).await, JobState::Executing);
    let done = Outcome::Finished { state: JobState::Completed };
    assert_eq!(stage.one(finish(second, completed())).await, done);
    let record = stage.record(new.id).await;
    assert_eq!((record.attempt, record.result.as_deref()), (2, Some("17")));
    // Sent again, as after an answer that was lost: nothing doubles.
    let events = stage.log().await.len();
    stage.one(finish(second, completed())).await;
    assert_eq!(stage.log().await.len(), events);
    assert_eq!(stage.store.totals().await.unwrap().completed_jobs, 1);
}

#[tokio::test]
async fn each_end_of_an_attempt_leads_to_its_state() {
    let stage = Stage::new();
    let session = stage.session().await;
    let soon = stage.now().saturating_add(Duration::from_secs(5));
    let cases = [
        (completed(), JobState::Completed, 1),
        (AttemptEnd::Completed { result: None }, JobState::Completed, 1),
        (failed(None), JobState::Discarded, 1),
        (failed(Some(soon)), JobState::Retryable, 1),
        (AttemptEnd::Cancelled { error: error() }, JobState::Cancelled, 1),
        (AttemptEnd::Released, JobState::Available, 0),
    ];
    for (number, (end, state, attempt)) in cases.into_iter().enumerate() {
        let queue = format!("queue-{number}");
        let new = NewJob { queue: queue.clone(), ..job() };
        stage.one(enqueue(&new)).await;
        let lease = lease(&stage.claim(&queue, 1, session).await[0]);
        assert_eq!(stage.one(finish(lease, end.clone())).await, Outcome::Finished { state }, "{end:?}");
        let record = stage.record(new.id).await;
        assert_eq!((record.state, record.attempt), (state, attempt), "{end:?}");
        assert_eq!(record.finished_at.is_some(), state.is_final(), "{end:?}");
    }
}

#[tokio::test]
async fn cancel_and_retry_in_every_state() {
    let stage = Stage::new();
    let session = stage.session().await;
    let soon = stage.now().saturating_add(Duration::from_secs(5));
    let unknown = Uuid::now_v7();
    assert_eq!(stage.one(Operation::Cancel { id: unknown }).await, Outcome::NotFound);
    assert_eq!(stage.one(retry(unknown)).await, Outcome::NotFound);
    // A new job in this state.
    let job_in = async |state: JobState| {
        let held = (state == JobState::Pending).then(|| "no handler".to_owned());
        let new = NewJob { queue: Uuid::now_v7().to_string(), held, ..job() };
        stage.one(enqueue(&new)).await;
        let end = match state {
            JobState::Pending | JobState::Available => return (new, None),
            JobState::Executing => None,
            JobState::Retryable => Some(failed(Some(soon))),
            JobState::Completed => Some(completed()),
            JobState::Cancelled => Some(AttemptEnd::Cancelled { error: error() }),
            JobState::Discarded => Some(failed(None)),
            JobState::Scheduled => unreachable!("nothing schedules yet"),
        };
        let lease = lease(&stage.claim(&new.queue, 1, session).await[0]);
        if let Some(end) = end {
            stage.one(finish(lease, end)).await;
        }
        assert_eq!(stage.state(new.id).await, state);
        (new, Some(lease))
    };
    for state in JobState::ALL.into_iter().filter(|state| *state != JobState::Scheduled) {
        let (new, lease) = job_in(state).await;
        let cancelled = stage.one(Operation::Cancel { id: new.id }).await;
        match state {
            JobState::Executing => {
                let lease = lease.unwrap();
                let expected = Outcome::CancelRequested { lease, queue: new.queue.clone(), session };
                assert_eq!(cancelled, expected);
                let started = stage.one(Operation::Start { lease, started_at: stage.now() }).await;
                assert_eq!(started, Outcome::Started { cancel_requested: true });
            }
            state if state.is_final() => assert_eq!(cancelled, Outcome::NotPossible { state }),
            _ => {
                assert_eq!(cancelled, Outcome::Cancelled, "{state}");
                assert_eq!(stage.state(new.id).await, JobState::Cancelled);
            }
        }
        let (new, _) = job_in(state).await;
        let again = retry(new.id);
        let retried = stage.one(again.clone()).await;
        match state {
            state if state.is_final() => {
                let Outcome::Replayed { id, state: replayed, .. } = retried else { panic!("{retried:?}") };
                assert_eq!(replayed, JobState::Available);
                let replay = stage.record(id).await;
                assert_eq!((replay.replay_of, replay.attempt), (Some(new.id), 0));
                assert_eq!(stage.state(new.id).await, state, "the first one stays as it is");
                // The same request sent again makes no second one.
                stage.one(again).await;
                let of_queue = JobFilter { queue: Some(new.queue.clone()), ..JobFilter::default() };
                assert_eq!(stage.list(of_queue).await.len(), 2);
            }
            JobState::Retryable => {
                assert_eq!(retried, Outcome::MadeAvailable { queue: new.queue.clone() });
                assert_eq!(stage.state(new.id).await, JobState::Available);
            }
            _ => assert_eq!(retried, Outcome::NotPossible { state }),
        }
    }
}

#[tokio::test]
async fn due_and_held_jobs_move_in_bounded_steps() {
    let stage = Stage::new();
    let session = stage.session().await;
    stage.apply((0..5).map(|_| enqueue(&job())).collect()).await;
    let soon = stage.now().saturating_add(Duration::from_secs(10));
    for job in stage.claim("default", 5, session).await {
        stage.one(finish(lease(&job), failed(Some(soon)))).await;
    }
    let nothing = Outcome::Moved { queues: vec![], count: 0, next_at: Some(soon) };
    assert_eq!(stage.one(promote(3)).await, nothing);
    stage.pass(Duration::from_secs(10));
    let moved = |count| Outcome::Moved { queues: vec!["default".into()], count, next_at: None };
    let first = stage.one(promote(3)).await;
    assert!(matches!(first, Outcome::Moved { count: 3, .. }), "{first:?}");
    assert_eq!(stage.one(promote(3)).await, moved(2));

    let held =
        |job_type: &str| NewJob { job_type: job_type.into(), held: Some("no handler".into()), ..job() };
    stage.apply(["a", "a", "a", "b"].map(|name| enqueue(&held(name))).into()).await;
    let release = |limit| Operation::ReleaseHeld { job_types: vec!["a".into(), "c".into()], limit };
    for count in [2, 1, 0] {
        let released = stage.one(release(2)).await;
        assert!(matches!(released, Outcome::Moved { count: moved, .. } if moved == count), "{released:?}");
    }
    let pending = JobFilter { states: vec![JobState::Pending], ..JobFilter::default() };
    assert_eq!(stage.list(pending).await.iter().map(|job| &*job.job_type).collect::<Vec<_>>(), ["b"]);
}

#[tokio::test]
async fn the_attempts_of_a_dead_session_are_ended_in_bounded_steps() {
    let stage = Stage::new();
    let (dead, alive) = (stage.session().await, stage.session().await);
    // Of the last job this is the only attempt.
    let mut jobs: Vec<NewJob> = (0..4).map(|_| job()).collect();
    jobs[3].max_attempts = 1;
    stage.apply(jobs.iter().map(enqueue).collect()).await;
    let lost = stage.claim("default", 4, dead).await;
    stage.one(enqueue(&job())).await;
    let kept = lease(&stage.claim("default", 1, alive).await[0]);
    let rescue = rescue(dead, 3);
    for expected in [3, 1, 0] {
        let moved = stage.one(rescue.clone()).await;
        assert!(matches!(moved, Outcome::Moved { count, .. } if count == expected), "{moved:?}");
    }
    for job in &lost {
        assert_eq!(stage.one(finish(lease(job), completed())).await, Outcome::Stale);
    }
    assert_eq!(stage.state(jobs[0].id).await, JobState::Available);
    assert_eq!(stage.state(jobs[3].id).await, JobState::Discarded);
    let finished = Outcome::Finished { state: JobState::Completed };
    assert_eq!(stage.one(finish(kept, completed())).await, finished);
    // With its last attempt the session was closed: it renews no more, and nothing is claimed for it.
    let open = stage.store.open_sessions().await.unwrap();
    assert_eq!(open.iter().map(|session| session.id).collect::<Vec<_>>(), [alive]);
    for gone in [dead, Uuid::now_v7()] {
        assert_eq!(stage.store.renew(gone).await.unwrap(), Renewal::Lost);
        let claim = Operation::Claim { queue: "default".into(), limit: 1, session: gone };
        assert_eq!(stage.one(claim).await, Outcome::NotFound);
    }
}

#[tokio::test]
async fn a_session_is_ended_only_after_it_was_silent_for_as_long_as_was_asked() {
    let stage = Stage::new();
    let session = stage.session().await;
    stage.one(enqueue(&job())).await;
    let held = lease(&stage.claim("default", 1, session).await[0]);
    let ttl = Duration::from_secs(10);
    let judge = |session| Operation::Rescue {
        session,
        error: error(),
        limit: 10,
        idle_for: Some(ttl),
        leader: Some(0),
    };
    stage.pass(ttl);
    let alive = Renewal::Alive { cancels: vec![] };
    assert_eq!(stage.store.renew(session).await.unwrap(), alive);
    stage.pass(ttl - Duration::from_micros(1));
    assert_eq!(stage.one(judge(session)).await, Outcome::NotFound);
    assert_eq!(stage.one(judge(Uuid::now_v7())).await, Outcome::NotFound);
    stage.pass(Duration::from_micros(1));
    let moved = stage.one(judge(session)).await;
    assert!(matches!(moved, Outcome::Moved { count: 1, .. }), "{moved:?}");
    assert_eq!(stage.one(finish(held, completed())).await, Outcome::Stale);
    assert_eq!(stage.store.renew(session).await.unwrap(), Renewal::Lost);
}

#[tokio::test]
async fn a_renewal_tells_of_the_attempts_that_are_to_end() {
    let stage = Stage::new();
    let (session, other) = (stage.session().await, stage.session().await);
    stage.apply((0..3).map(|_| enqueue(&job())).collect()).await;
    let held = stage.claim("default", 2, session).await;
    let others = stage.claim("default", 1, other).await;
    for id in [held[0].id, others[0].id] {
        stage.one(Operation::Cancel { id }).await;
    }
    let cancels = vec![(lease(&held[0]), "default".to_owned())];
    assert_eq!(stage.store.renew(session).await.unwrap(), Renewal::Alive { cancels });
    stage.one(finish(lease(&held[0]), AttemptEnd::Cancelled { error: error() })).await;
    assert_eq!(stage.store.renew(session).await.unwrap(), Renewal::Alive { cancels: vec![] });
}

#[tokio::test]
async fn what_is_old_is_deleted_in_bounded_steps_and_totals_stay() {
    let stage = Stage::new();
    let session = stage.session().await;
    stage.apply((0..7).map(|_| enqueue(&job())).collect()).await;
    for job in stage.claim("default", 6, session).await {
        stage.one(finish(lease(&job), completed())).await;
    }
    let nothing = Outcome::Pruned { jobs: 0, events: 0, more: false };
    assert_eq!(stage.one(prune(keep(4))).await, nothing);
    stage.pass(DAY + Duration::from_secs(1));
    let events = stage.log().await.len() as u64;
    let mut deleted = (0, 0);
    loop {
        let pruned = stage.one(prune(keep(4))).await;
        let Outcome::Pruned { jobs, events, more } = pruned else { panic!("{pruned:?}") };
        assert!(jobs <= 4 && events <= 4);
        deleted = (deleted.0 + jobs, deleted.1 + events);
        if !more {
            break;
        }
    }
    assert_eq!(deleted, (6, events));
    assert_eq!(stage.list(JobFilter::default()).await.len(), 1, "what is not finished stays");
    assert_eq!(stage.store.totals().await.unwrap().completed_jobs, 6);
    // The log goes on where it was, and its reader is told what is gone.
    stage.one(enqueue(&job())).await;
    let page = stage.store.events_after(LogCursor { epoch: 1, position: 1 }, None, 10).await.unwrap();
    assert!(page.reset);
    assert_eq!(page.events[0].cursor.position, events + 1);
    // By number, too.
    let few = Retention { events_max: 2, ..keep(100) };
    stage.apply((0..5).map(|_| enqueue(&job())).collect()).await;
    stage.one(prune(few)).await;
    assert_eq!(stage.store.events_after(page.oldest, None, 100).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn a_poisoned_member_fails_alone() {
    let stage = Stage::new();
    let refuse = "CREATE TRIGGER poison BEFORE INSERT ON jobs WHEN NEW.type = 'poison'
                  BEGIN SELECT RAISE(ABORT, 'not this one'); END";
    rusqlite::Connection::open(stage.path()).unwrap().execute_batch(refuse).unwrap();
    let poison = NewJob { job_type: "poison".into(), ..job() };
    let mut batch: Vec<Operation> = (0..9).map(|_| enqueue(&job())).collect();
    batch.insert(4, enqueue(&poison));
    let results = stage.store.apply(batch).await.unwrap();
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(outcome) => assert_eq!(*outcome, Outcome::Enqueued { state: JobState::Available }),
            Err(error) => assert_eq!((number, kind(error)), (4, "failed"), "{error}"),
        }
    }
    assert!(results[4].is_err());
    let positions: Vec<u64> = stage.log().await.iter().map(|event| event.cursor.position).collect();
    assert_eq!(positions, (1..=9).collect::<Vec<_>>());
}

#[tokio::test]
async fn lists_are_filtered_and_paged_without_gaps_while_jobs_are_added() {
    let stage = Stage::new();
    let session = stage.session().await;
    for number in 0..60 {
        let queue = ["mail", "default"][number % 2].to_owned();
        let job_type = ["a", "b", "c"][number % 3].to_owned();
        stage.one(enqueue(&NewJob { queue, job_type, ..job() })).await;
    }
    for job in stage.claim("mail", 10, session).await {
        stage.one(finish(lease(&job), completed())).await;
    }
    let all = stage.list(JobFilter::default()).await;
    assert!(all.is_sorted_by(|one, next| one.sequence > next.sequence));
    for states in [vec![], vec![JobState::Completed], vec![JobState::Available, JobState::Completed]] {
        for queue in [None, Some("mail".to_owned())] {
            for job_type in [None, Some("b".to_owned())] {
                let filter =
                    JobFilter { states: states.clone(), queue: queue.clone(), job_type, before: None };
                let fits = |job: &&callboard_actors::edges::store::record::JobRecord| {
                    (filter.states.is_empty() || filter.states.contains(&job.state))
                        && filter.queue.as_ref().is_none_or(|queue| *queue == job.queue)
                        && filter.job_type.as_ref().is_none_or(|job_type| *job_type == job.job_type)
                };
                let expected: Vec<Uuid> = all.iter().filter(fits).map(|job| job.id).collect();
                let mut paged = Vec::new();
                let mut before = None;
                loop {
                    let filter = JobFilter { before, ..filter.clone() };
                    let page = stage.store.jobs(filter, 7).await.unwrap();
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
    let wanted: Vec<Uuid> = all.iter().take(3).map(|job| job.id).chain([Uuid::now_v7()]).collect();
    assert_eq!(stage.store.jobs_by_id(wanted).await.unwrap().len(), 3);
    let recent = stage.store.recent_events(None, 5).await.unwrap();
    assert_eq!(recent.len(), 5);
    assert!(recent.iter().all(|event| event.event_type.is_original()));
}

#[tokio::test]
async fn each_event_of_the_old_contract_comes_at_most_once() {
    let stage = Stage::new();
    let session = stage.session().await;
    let new = NewJob { max_attempts: 9, ..job() };
    stage.one(enqueue(&new)).await;
    for end in [AttemptEnd::Released, failed(Some(stage.now())), failed(Some(stage.now())), completed()] {
        stage.one(promote(1)).await;
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        stage.one(Operation::Start { lease, started_at: stage.now() }).await;
        stage.one(finish(lease, end)).await;
    }
    let events: Vec<EventType> = stage.log().await.iter().map(|event| event.event.event_type).collect();
    for original in EventType::ALL.into_iter().filter(|event| event.is_original()) {
        let times = events.iter().filter(|event| **event == original).count();
        assert_eq!(times, usize::from(original != EventType::Failed), "{original}: {events:?}");
    }
}

#[tokio::test]
async fn a_batch_that_nobody_waits_for_is_carried_out() {
    let stage = Stage::new();
    let new = job();
    drop(stage.store.apply(vec![enqueue(&new)]));
    // One after the other: the answer to this one says that the first is done.
    stage.one(enqueue(&job())).await;
    assert_eq!(stage.state(new.id).await, JobState::Available);
    assert!(matches!(stage.store.apply(Vec::new()).await, Ok(none) if none.is_empty()));
}
