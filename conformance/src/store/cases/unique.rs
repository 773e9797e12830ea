//! Jobs that are the only ones of their kind.

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, IfTaken, JobFilter, KeyedJobs, NewJob, RequestKey, Uniqueness},
};
use callboard_contracts::{EventType, JobState};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    stage::Stage,
    words::{
        DAY, SECOND, completed, enqueue, failed, hear, in_state, job, lease, prune, receive, retry, word,
    },
};

const AVAILABLE: Outcome = Outcome::Enqueued { state: JobState::Available };

/// A place that is kept until the job has ended.
fn place(key: u8, if_taken: IfTaken) -> Uniqueness {
    let states = JobState::ALL.into_iter().filter(|state| !state.is_final()).collect();
    Uniqueness { key: [key; 32], states, period: None, if_taken }
}

fn only(key: u8, if_taken: IfTaken) -> NewJob {
    NewJob { unique: Some(place(key, if_taken)), ..job() }
}

fn not_unique(job: &NewJob, state: JobState) -> Outcome {
    Outcome::NotUnique { id: job.id, state }
}

fn kept(job: &NewJob, state: JobState) -> Outcome {
    Outcome::Kept { id: job.id, event_id: job.event_id, state }
}

pub async fn the_first_of_a_kind_has_the_place_and_the_others_hear_of_it<B: Backend>(stage: &mut Stage<B>) {
    let first = only(1, IfTaken::Refuse);
    assert_eq!(stage.one(enqueue(&first)).await, AVAILABLE);
    for step in 0..3 {
        match step {
            0 => {}
            1 => stage.reopen().await,
            _ => stage.kill().await,
        }
        let state = JobState::Available;
        assert_eq!(stage.one(enqueue(&only(1, IfTaken::Refuse))).await, not_unique(&first, state));
        assert_eq!(stage.one(enqueue(&only(1, IfTaken::Keep))).await, kept(&first, state));
        // Whoever sends the first again hears of itself.
        let again = NewJob { event_id: Uuid::now_v7(), ..first.clone() };
        assert_eq!(stage.one(enqueue(&again)).await, Outcome::Duplicate { event_id: first.event_id, state });
    }
    // Another kind, and jobs of none, are not in its way.
    for other in [only(2, IfTaken::Refuse), job(), job()] {
        assert_eq!(stage.one(enqueue(&other)).await, AVAILABLE);
    }
    // Another queue and type are no other kind, unless the key says so.
    let elsewhere = NewJob { queue: "mail".into(), job_type: "other".into(), ..only(1, IfTaken::Refuse) };
    assert_eq!(stage.one(enqueue(&elsewhere)).await, not_unique(&first, JobState::Available));
    assert_eq!(stage.list(JobFilter::default()).await.len(), 4);
}

pub async fn a_place_is_kept_in_its_states_and_free_in_the_others<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let first = only(1, IfTaken::Refuse);
    stage.one(enqueue(&first)).await;
    let second = only(1, IfTaken::Refuse);
    let claimed = stage.claim("default", 1, session).await;
    assert_eq!(stage.one(enqueue(&second)).await, not_unique(&first, JobState::Executing));
    stage.finish(lease(&claimed[0]), failed(Some(stage.now()))).await;
    assert_eq!(stage.one(enqueue(&second)).await, not_unique(&first, JobState::Retryable));
    stage.promote(1).await;
    let claimed = stage.claim("default", 1, session).await;
    stage.finish(lease(&claimed[0]), completed()).await;
    assert_eq!(stage.one(enqueue(&second)).await, AVAILABLE);
    assert_eq!(stage.one(enqueue(&only(1, IfTaken::Refuse))).await, not_unique(&second, JobState::Available));
    // The first one's replay asks for nothing, so it has no place to lose or to take.
    assert!(matches!(stage.one(retry(first.id)).await, Outcome::Replayed { .. }));
    stage.one(Operation::Cancel { id: second.id }).await;
    assert_eq!(stage.one(enqueue(&only(1, IfTaken::Refuse))).await, AVAILABLE);

    // Only until it is claimed; when it comes back, another one has the place.
    let waits = || {
        let states = [JobState::Pending, JobState::Scheduled, JobState::Available].into_iter().collect();
        let unique = Uniqueness { states, ..place(2, IfTaken::Refuse) };
        NewJob { queue: "waits".into(), unique: Some(unique), ..job() }
    };
    let (third, fourth) = (waits(), waits());
    stage.one(enqueue(&third)).await;
    assert_eq!(stage.one(enqueue(&fourth)).await, not_unique(&third, JobState::Available));
    let claimed = stage.claim("waits", 1, session).await;
    assert_eq!(stage.one(enqueue(&fourth)).await, AVAILABLE);
    stage.finish(lease(&claimed[0]), AttemptEnd::Released).await;
    assert_eq!(stage.one(enqueue(&waits())).await, not_unique(&fourth, JobState::Available));

    // Also when it has ended, for as long as it is kept.
    let ever = || NewJob {
        queue: "ever".into(),
        unique: Some(Uniqueness { states: JobState::ALL.into_iter().collect(), ..place(3, IfTaken::Keep) }),
        ..job()
    };
    let fifth = ever();
    stage.one(enqueue(&fifth)).await;
    let claimed = stage.claim("ever", 1, session).await;
    stage.finish(lease(&claimed[0]), failed(None)).await;
    assert_eq!(stage.one(enqueue(&ever())).await, kept(&fifth, JobState::Discarded));
    stage.pass(2 * DAY);
    stage.prune(prune(10)).await;
    assert_eq!(stage.one(enqueue(&ever())).await, AVAILABLE);
}

pub async fn a_place_is_free_when_its_time_is_over<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let hourly = || {
        let states = JobState::ALL.into_iter().collect();
        let unique = Uniqueness { states, period: Some(3600 * SECOND), ..place(1, IfTaken::Keep) };
        NewJob { unique: Some(unique), ..job() }
    };
    let first = hourly();
    assert_eq!(stage.one(enqueue(&first)).await, AVAILABLE);
    let claimed = stage.claim("default", 1, session).await;
    stage.finish(lease(&claimed[0]), completed()).await;
    stage.pass(3599 * SECOND);
    assert_eq!(stage.one(enqueue(&hourly())).await, kept(&first, JobState::Completed));
    stage.pass(SECOND);
    // From the moment at which it was stored, not from that of those that came after.
    let second = hourly();
    assert_eq!(stage.one(enqueue(&second)).await, AVAILABLE);
    stage.pass(3600 * SECOND);
    // Over, although it still waits.
    assert_eq!(stage.state(second.id).await, JobState::Available);
    assert_eq!(stage.one(enqueue(&hourly())).await, AVAILABLE);
}

pub async fn what_is_replaced_is_called_off_in_the_same_step<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let later = stage.now().saturating_add(SECOND);
    let retryable = only(3, IfTaken::Refuse);
    stage.one(enqueue(&retryable)).await;
    let claimed = stage.claim("default", 1, session).await;
    stage.finish(lease(&claimed[0]), failed(Some(later))).await;
    let waiting = [
        only(1, IfTaken::Refuse),
        NewJob { scheduled_at: Some(later), ..only(2, IfTaken::Refuse) },
        retryable,
        NewJob { held: Some("no handler".into()), ..only(4, IfTaken::Refuse) },
    ];
    for (key, before) in (1..).zip(&waiting) {
        if key != 3 {
            stage.one(enqueue(before)).await;
        }
        let new = only(key, IfTaken::Replace);
        let expected = Outcome::EnqueuedInstead { state: JobState::Available, replaced: before.id };
        assert_eq!(stage.one(enqueue(&new)).await, expected);
        let record = stage.record(before.id).await;
        assert_eq!((record.state, record.wait_reason), (JobState::Cancelled, None));
        assert_eq!(stage.way(before.id).await.last(), Some(&EventType::Failed));
        let told =
            stage.log().await.into_iter().rev().find(|event| event.event.event_type == EventType::Failed);
        let told = told.unwrap().event.payload["error"].to_string();
        assert!(told.contains(&new.id.to_string()), "{told}");
        // Asked again, since the answer was lost.
        let duplicate = Outcome::Duplicate { event_id: new.event_id, state: JobState::Available };
        assert_eq!(stage.one(enqueue(&new)).await, duplicate);
        assert_eq!(
            stage.one(enqueue(&only(key, IfTaken::Refuse))).await,
            not_unique(&new, JobState::Available)
        );
    }
    // What a node has, or somebody outside, is not called off for it.
    let claimed = stage.claim("default", 1, session).await;
    let running = stage.record(claimed[0].id).await;
    let new = only(1, IfTaken::Replace);
    let refused = Outcome::NotUnique { id: running.id, state: JobState::Executing };
    assert_eq!(stage.one(enqueue(&new)).await, refused);
    stage.finish(lease(&claimed[0]), completed()).await;
    assert_eq!(stage.one(enqueue(&new)).await, AVAILABLE);
}

pub async fn a_replacement_needs_no_room_but_its_own<B: Backend>(stage: &mut Stage<B>) {
    let limited = |queue: &str, key| NewJob {
        max_backlog: 2,
        max_total: 3,
        queue: queue.into(),
        ..only(key, IfTaken::Replace)
    };
    let (one, two, three) = (limited("a", 1), limited("a", 2), limited("b", 3));
    for new in [&one, &two, &three] {
        assert_eq!(stage.one(enqueue(new)).await, AVAILABLE);
    }
    // The queue is full, and so is the store.
    let other = limited("a", 1);
    let instead =
        |replaced: &NewJob| Outcome::EnqueuedInstead { state: JobState::Available, replaced: replaced.id };
    assert_eq!(stage.one(enqueue(&other)).await, instead(&one));
    let full = Outcome::BacklogFull { waiting: 2, limit: 2 };
    let moved = limited("a", 3);
    assert_eq!(stage.one(enqueue(&moved)).await, full);
    assert_eq!(
        stage.state(three.id).await,
        JobState::Available,
        "it is not called off for a job that is refused"
    );
    assert_eq!(stage.one(enqueue(&limited("b", 3))).await, instead(&three));
    let full = Outcome::StoreFull { waiting: 3, limit: 3 };
    assert_eq!(stage.one(enqueue(&limited("b", 4))).await, full);
    // A job that was refused has taken no place.
    stage.one(Operation::Cancel { id: two.id }).await;
    assert_eq!(
        stage.one(enqueue(&NewJob { unique: Some(place(4, IfTaken::Refuse)), ..limited("b", 4) })).await,
        AVAILABLE
    );
}

pub async fn jobs_of_one_kind_in_a_batch_see_each_other<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let jobs = [
        only(1, IfTaken::Replace),
        only(2, IfTaken::Keep),
        only(1, IfTaken::Refuse),
        only(1, IfTaken::Replace),
        only(2, IfTaken::Keep),
        only(1, IfTaken::Replace),
        job(),
    ];
    let outcomes = stage.apply(jobs.iter().map(enqueue).collect()).await;
    let state = JobState::Available;
    let expected = [
        AVAILABLE,
        AVAILABLE,
        not_unique(&jobs[0], state),
        Outcome::EnqueuedInstead { state, replaced: jobs[0].id },
        kept(&jobs[1], state),
        Outcome::EnqueuedInstead { state, replaced: jobs[3].id },
        AVAILABLE,
    ];
    assert_eq!(outcomes, expected);
    assert_eq!(stage.list(in_state(JobState::Cancelled)).await.len(), 2);
    // With what else happens to the one that has the place in the same batch.
    let claimed = stage.claim("default", 3, session).await;
    let of = |id: Uuid| lease(claimed.iter().find(|claimed| claimed.id == id).unwrap());
    let end = crate::store::words::finish(of(jobs[5].id), completed());
    let (before, after) = (only(1, IfTaken::Keep), only(1, IfTaken::Keep));
    let outcomes = stage.apply(vec![enqueue(&before), end, enqueue(&after)]).await;
    let expected =
        [kept(&jobs[5], JobState::Executing), Outcome::Finished { state: JobState::Completed }, AVAILABLE];
    assert_eq!(outcomes, expected);
}

pub async fn of_many_that_want_one_place_one_has_it<B: Backend>(stage: &mut Stage<B>) {
    for (key, if_taken) in (1..).zip([IfTaken::Refuse, IfTaken::Keep, IfTaken::Replace]) {
        let mut tasks = Vec::new();
        for number in 0..16 {
            let client = stage.another(&format!("node-{number}")).await;
            tasks.push(tokio::spawn(async move {
                let mut outcomes = Vec::new();
                for _ in 0..8 {
                    // In batches whose kinds come in different orders, so that nobody may wait for each other.
                    let (one, two) = (only(key, if_taken), only(key + 100, if_taken));
                    let batch = if number % 2 == 0 { [one, two] } else { [two, one] };
                    outcomes.extend(client.apply(batch.iter().map(enqueue).collect()).await);
                }
                outcomes
            }));
        }
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.extend(task.await.unwrap());
        }
        let stored = outcomes.iter().filter(|outcome| **outcome == AVAILABLE).count();
        assert_eq!(stored, 2, "{if_taken:?}");
        let expected = |outcome: &&Outcome| match if_taken {
            IfTaken::Refuse => matches!(outcome, Outcome::NotUnique { .. }),
            IfTaken::Keep => matches!(outcome, Outcome::Kept { .. }),
            IfTaken::Replace => matches!(outcome, Outcome::EnqueuedInstead { .. }),
        };
        assert_eq!(outcomes.iter().filter(expected).count(), 16 * 8 * 2 - 2, "{if_taken:?}");
        // The one that each names is the one that there is.
        let there = stage.list(in_state(JobState::Available)).await;
        assert_eq!(there.len(), 2, "{if_taken:?}");
        for outcome in &outcomes {
            if let Outcome::NotUnique { id, .. } | Outcome::Kept { id, .. } = outcome {
                assert!(there.iter().any(|job| job.id == *id), "{outcome:?}");
            }
        }
        for job in there {
            stage.one(Operation::Cancel { id: job.id }).await;
        }
    }
}

pub async fn a_request_with_a_key_remembers_whose_place_it_was<B: Backend>(stage: &mut Stage<B>) {
    let first = only(1, IfTaken::Refuse);
    stage.one(enqueue(&first)).await;
    let jobs = vec![only(1, IfTaken::Refuse), only(1, IfTaken::Keep), only(1, IfTaken::Replace)];
    let instead = jobs[2].id;
    let key = RequestKey { scope: "api".into(), key: "k".into(), fingerprint: [1; 32] };
    let once = Operation::EnqueueOnce(Box::new(KeyedJobs { key, jobs, note: String::new() }));
    let state = JobState::Available;
    let expected = [
        not_unique(&first, state),
        kept(&first, state),
        Outcome::EnqueuedInstead { state, replaced: first.id },
    ];
    for replayed_before in [false, true, true] {
        let Outcome::EnqueuedOnce { answers, replayed, .. } = stage.one(once.clone()).await else { panic!() };
        let outcomes: Vec<Outcome> = answers.into_iter().map(|answer| answer.outcome).collect();
        assert_eq!((outcomes.as_slice(), replayed), (&expected[..], replayed_before));
        stage.one(Operation::Cancel { id: instead }).await;
    }
}

pub async fn what_comes_from_outside_can_have_a_place_too<B: Backend>(stage: &mut Stage<B>) {
    let event = crate::store::words::event();
    let first = NewJob { event_id: event.id, ..only(1, IfTaken::Refuse) };
    assert_eq!(stage.one(receive(&event, &first)).await, AVAILABLE);
    assert_eq!(stage.one(enqueue(&only(1, IfTaken::Refuse))).await, not_unique(&first, JobState::Available));
    let other = crate::store::words::event();
    let second = NewJob { event_id: other.id, ..only(1, IfTaken::Keep) };
    assert_eq!(stage.one(receive(&other, &second)).await, kept(&first, JobState::Available));
    // A worker outside that runs it has the place for it.
    let session = stage.session().await;
    let claimed = stage.claim("default", 1, session).await;
    let given = Operation::HandOver { lease: lease(&claimed[0]), visible_for: 60 * SECOND };
    assert_eq!(stage.one(given).await, Outcome::HandedOver);
    let new = only(1, IfTaken::Replace);
    assert_eq!(stage.one(enqueue(&new)).await, not_unique(&first, JobState::Executing));
    let done = callboard_actors::edges::store::outside::Said::Completed { result: None };
    stage.one(hear(&word(first.id, Some(claimed[0].token), done))).await;
    assert_eq!(stage.one(enqueue(&new)).await, AVAILABLE);
}
