//! Signals that are sent to jobs, and the states that runs publish.

use callboard_actors::edges::store::{
    Operation, Outcome,
    outside::Said,
    record::{AttemptEnd, Lease, NewJob},
    report::{Report, ReportedState},
    signals::{NewSignal, SignalOperation, SignalOutcome, SignalRecord},
};
use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{MOST_ACKNOWLEDGED, MOST_SIGNAL_BYTES, MOST_SIGNALS},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{
        DAY, SECOND, cancelled, completed, enqueue, failed, finish, hear, job, lease, prune, retry, start,
        word,
    },
};

fn signal(job: Uuid, name: &str, value: &str) -> NewSignal {
    NewSignal { job, id: Uuid::now_v7(), name: name.into(), value: value.into(), by: "anna".into() }
}

fn send(signal: &NewSignal) -> Operation {
    Operation::Signals(SignalOperation::Send(Box::new(signal.clone())))
}

fn acknowledge(lease: Lease, number: u32) -> Operation {
    Operation::Signals(SignalOperation::Acknowledge { lease, number })
}

fn stored(job: Uuid, number: u32, state: JobState, session: Option<Uuid>) -> Outcome {
    Outcome::Signals(SignalOutcome::Stored { job, number, state, session })
}

fn report(lease: Lease, published: Option<(&str, Timestamp)>, taken: &[u32]) -> Report {
    Report {
        lease,
        started_at: None,
        first: false,
        progress: None,
        published: published.map(|(value, at)| ReportedState { value: value.into(), at }),
        taken: taken.to_vec(),
        lines: Vec::new(),
        forget: None,
    }
}

fn operation(report: Report) -> Operation {
    Operation::Report(Box::new(report))
}

/// A job that is with a node, its lease, and whose it is.
async fn claimed<B: Backend>(stage: &Stage<B>) -> (Lease, Uuid) {
    stage.one(enqueue(&job())).await;
    let session = stage.session().await;
    (lease(&stage.claim("default", 1, session).await[0]), session)
}

async fn all(client: &Client, job: Uuid) -> Vec<SignalRecord> {
    client.store.signals(job).await.unwrap().unwrap()
}

/// The numbers that an attempt gets that has had those up to `after`.
async fn numbers(client: &Client, job: Uuid, after: u32) -> Vec<u32> {
    let found = client.store.signals_after(vec![(job, after)], 1000).await.unwrap();
    found.into_iter().map(|(_, signal)| signal.number).collect()
}

pub async fn a_signal_is_kept_in_order_and_told<B: Backend>(stage: &mut Stage<B>) {
    let waits = job();
    stage.one(enqueue(&waits)).await;
    let id = waits.id;
    let odd = NewSignal { by: "b\u{0}ö".into(), ..signal(id, "order.paid", "{\"a\":\"\\u0000\",\"b\":[]}") };
    assert_eq!(stage.one(send(&odd)).await, stored(id, 1, JobState::Available, None));
    let session = stage.session().await;
    let lease = lease(&stage.claim("default", 1, session).await[0]);
    let at = stage.now();
    stage.one(start(lease, at)).await;
    stage.pass(SECOND);
    // Two of one transaction are two.
    let (second, third) = (signal(id, "approve", "null"), signal(id, "approve", "\"yes\""));
    let both = stage.apply(vec![send(&second), send(&third)]).await;
    let executing = |number| stored(id, number, JobState::Executing, Some(session));
    assert_eq!(both, [executing(2), executing(3)]);
    let kept = all(stage, id).await;
    let said: Vec<_> = kept.iter().map(|one| (one.number, one.id, &*one.name, &*one.value)).collect();
    let sent = [(1, &odd), (2, &second), (3, &third)];
    assert_eq!(said, sent.map(|(number, one)| (number, one.id, &*one.name, &*one.value)));
    assert!(kept[0].by.ends_with('ö') && kept[1].by == "anna" && kept[1].at > kept[0].at);
    assert!(kept.iter().all(|one| one.taken.is_none() && one.acknowledged_at.is_none()));
    let way = stage.way(id).await;
    let told = [EventType::Created, EventType::Signalled, EventType::Validated, EventType::Executed];
    assert_eq!(way, [&told[..], &[EventType::Signalled; 2]].concat());
    let events = stage.log().await;
    let told: Vec<_> = events.iter().filter(|event| event.event.event_type == EventType::Signalled).collect();
    let statuses: Vec<_> = told.iter().map(|event| event.event.payload["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["PENDING", "EXECUTING", "EXECUTING"]);
    let last = &told[2].event.payload["signal"];
    assert_eq!((&last["name"], &last["number"], &last["by"]), (&"approve".into(), &3.into(), &"anna".into()));
    assert_eq!((&last["id"], last.get("value")), (&third.id.to_string().into(), None));
    assert_eq!(told[2].event.contract_version, "1.1.0");
    // It is there after a restart.
    stage.reopen().await;
    assert_eq!(all(stage, id).await, kept);
    let missing = Uuid::now_v7();
    assert_eq!(stage.one(send(&signal(missing, "a", "1"))).await, Outcome::NotFound);
    assert_eq!(stage.store.signals(missing).await.unwrap(), None);
}

pub async fn a_signal_that_is_sent_again_is_one<B: Backend>(stage: &mut Stage<B>) {
    let (lease, session) = claimed(stage).await;
    let id = lease.id;
    let first = signal(id, "approve", "1");
    let new = stored(id, 1, JobState::Executing, Some(session));
    let duplicate = |state| Outcome::Signals(SignalOutcome::Duplicate { number: 1, state });
    // Two senders, in one transaction and after it.
    let both = stage.apply(vec![send(&first), send(&first)]).await;
    assert_eq!(both, [new, duplicate(JobState::Executing)]);
    let other_sender = NewSignal { by: "bert".into(), ..first.clone() };
    assert_eq!(stage.one(send(&other_sender)).await, duplicate(JobState::Executing));
    for other in [
        NewSignal { name: "reject".into(), ..first.clone() },
        NewSignal { value: "2".into(), ..first.clone() },
    ] {
        assert_eq!(stage.one(send(&other)).await, Outcome::Signals(SignalOutcome::OtherSignal));
    }
    assert_eq!(all(stage, id).await.len(), 1);
    // The id is the job's, not the world's.
    let (another, session) = claimed(stage).await;
    let same_id = NewSignal { job: another.id, ..first.clone() };
    assert_eq!(stage.one(send(&same_id)).await, stored(another.id, 1, JobState::Executing, Some(session)));
    // Also when the job has ended meanwhile, since the answer to the first may be lost.
    stage.finish(lease, completed()).await;
    assert_eq!(stage.one(send(&first)).await, duplicate(JobState::Completed));
    let told = stage.way(id).await.into_iter().filter(|event| *event == EventType::Signalled).count();
    assert_eq!(told, 1);
}

pub async fn jobs_that_have_ended_take_no_signals<B: Backend>(stage: &mut Stage<B>) {
    let (lease, _) = claimed(stage).await;
    stage.one(send(&signal(lease.id, "a", "1"))).await;
    stage.finish(lease, completed()).await;
    let late = send(&signal(lease.id, "a", "2"));
    assert_eq!(stage.one(late).await, Outcome::NotPossible { state: JobState::Completed });
    // In one transaction with the end, whatever comes first counts.
    let (lease, session) = claimed(stage).await;
    let signal = |value| send(&signal(lease.id, "a", value));
    let answers = stage.apply(vec![signal("1"), finish(lease, cancelled()), signal("2")]).await;
    assert_eq!(answers[0], stored(lease.id, 1, JobState::Executing, Some(session)));
    assert_eq!(answers[2], Outcome::NotPossible { state: JobState::Cancelled });
    assert_eq!(all(stage, lease.id).await.len(), 1);
    // A replay begins without.
    let Outcome::Replayed { id, .. } = stage.one(retry(lease.id)).await else { panic!("no replay") };
    assert_eq!(all(stage, id).await, []);
}

pub async fn a_job_has_so_many_signals_and_no_more<B: Backend>(stage: &mut Stage<B>) {
    let (lease, session) = claimed(stage).await;
    let id = lease.id;
    for number in 1..=MOST_SIGNALS {
        let new = send(&signal(id, "a", "1"));
        assert_eq!(stage.one(new).await, stored(id, number, JobState::Executing, Some(session)));
    }
    let one_more = send(&signal(id, "a", "1"));
    let bytes = u64::from(MOST_SIGNALS);
    let full = Outcome::Signals(SignalOutcome::TooMany { signals: MOST_SIGNALS, bytes });
    assert_eq!(stage.one(one_more.clone()).await, full);
    // Those that are acknowledged leave room.
    assert_eq!(stage.one(acknowledge(lease, 7)).await, Outcome::Signals(SignalOutcome::Acknowledged));
    let new = stored(id, MOST_SIGNALS + 1, JobState::Executing, Some(session));
    assert_eq!(stage.one(one_more).await, new);
    // So it is with their size, in bytes.
    let (lease, _) = claimed(stage).await;
    let value = format!("\"{}\"", "ä".repeat(8 * 1024 - 1));
    let fit = MOST_SIGNAL_BYTES / value.len();
    let mut taken = 0;
    while matches!(
        stage.one(send(&signal(lease.id, "a", &value))).await,
        Outcome::Signals(SignalOutcome::Stored { .. })
    ) {
        taken += 1;
    }
    assert_eq!(taken, fit);
}

pub async fn each_attempt_gets_what_is_unacknowledged<B: Backend>(stage: &mut Stage<B>) {
    let (first, _) = claimed(stage).await;
    let id = first.id;
    for name in ["a", "b", "c"] {
        stage.one(send(&signal(id, name, "1"))).await;
    }
    assert_eq!(numbers(stage, id, 0).await, [1, 2, 3]);
    assert_eq!(numbers(stage, id, 2).await, [3]);
    stage.pass(SECOND);
    let at = stage.now();
    stage.one(operation(report(first, None, &[1, 2]))).await;
    stage.one(acknowledge(first, 2)).await;
    let retry_at = stage.now().saturating_add(SECOND);
    stage.finish(first, failed(Some(retry_at))).await;
    stage.pass(SECOND);
    stage.promote(1).await;
    let session = stage.session().await;
    let second = lease(&stage.claim("default", 1, session).await[0]);
    // What was taken comes again, and is known to have been; what was acknowledged does not.
    assert_eq!(numbers(stage, id, 0).await, [1, 3]);
    let kept = all(stage, id).await;
    let taken: Vec<_> = kept.iter().map(|one| (one.taken, one.acknowledged_at)).collect();
    assert_eq!(taken, [(Some((1, at)), None), (Some((1, at)), Some(at)), (None, None)]);
    // Nothing that the first attempt says counts any more.
    stage.pass(SECOND);
    assert_eq!(stage.one(acknowledge(first, 1)).await, Outcome::Stale);
    assert_eq!(stage.one(operation(report(first, Some(("1", stage.now())), &[3]))).await, Outcome::Stale);
    assert_eq!(all(stage, id).await, kept);
    let now = stage.now();
    stage.one(operation(report(second, None, &[1]))).await;
    assert_eq!(all(stage, id).await[0].taken, Some((2, now)));
    // Said again, it was said once.
    stage.pass(SECOND);
    stage.one(operation(report(second, None, &[1]))).await;
    assert_eq!(all(stage, id).await[0].taken, Some((2, now)));
    stage.one(acknowledge(second, 1)).await;
    stage.pass(SECOND);
    let acknowledged = all(stage, id).await[0].acknowledged_at;
    assert_eq!(stage.one(acknowledge(second, 1)).await, Outcome::Signals(SignalOutcome::Acknowledged));
    assert_eq!(all(stage, id).await[0].acknowledged_at, acknowledged);
    let unknown = stage.one(acknowledge(second, 99)).await;
    assert_eq!(unknown, Outcome::Signals(SignalOutcome::Acknowledged));
}

pub async fn many_jobs_are_asked_for_at_once<B: Backend>(stage: &mut Stage<B>) {
    let mut jobs = Vec::new();
    for _ in 0..5 {
        let (lease, _) = claimed(stage).await;
        for _ in 0..3 {
            stage.one(send(&signal(lease.id, "a", "1"))).await;
        }
        jobs.push(lease.id);
    }
    jobs.sort_unstable();
    let wanted = |after: u32| jobs.iter().map(|job| (*job, after)).chain([(Uuid::now_v7(), 0)]).collect();
    let found = stage.store.signals_after(wanted(1), 1000).await.unwrap();
    let found: Vec<_> = found.into_iter().map(|(job, signal)| (job, signal.number)).collect();
    let expected: Vec<_> = jobs.iter().flat_map(|job| [(*job, 2), (*job, 3)]).collect();
    assert_eq!(found, expected);
    let some = stage.store.signals_after(wanted(0), 4).await.unwrap();
    let some: Vec<_> = some.into_iter().map(|(job, signal)| (job, signal.number)).collect();
    assert_eq!(some, [(jobs[0], 1), (jobs[0], 2), (jobs[0], 3), (jobs[1], 1)]);
    assert_eq!(stage.store.signals_after(wanted(3), 1000).await.unwrap(), []);
    assert_eq!(stage.store.signals_after(Vec::new(), 1000).await.unwrap(), []);
}

pub async fn acknowledged_signals_stay_for_a_while_and_all_go_with_their_job<B: Backend>(
    stage: &mut Stage<B>,
) {
    let (lease, session) = claimed(stage).await;
    let id = lease.id;
    let many = MOST_ACKNOWLEDGED + 6;
    for number in 1..=many {
        let new = stage.one(send(&signal(id, "a", "1"))).await;
        assert_eq!(new, stored(id, number, JobState::Executing, Some(session)));
        if number > 2 {
            stage.one(acknowledge(lease, number)).await;
        }
    }
    let kept: Vec<u32> = all(stage, id).await.iter().map(|one| one.number).collect();
    // Two that wait, and the newest.
    let expected: Vec<u32> = [1, 2].into_iter().chain(many - MOST_ACKNOWLEDGED + 1..=many).collect();
    assert_eq!(kept, expected);
    stage.finish(lease, completed()).await;
    stage.pass(2 * DAY);
    stage.prune(prune(10)).await;
    assert_eq!(stage.store.signals(id).await.unwrap(), None);
    // A job that is stored anew under the same id has nothing of it.
    stage.one(enqueue(&NewJob { id, ..job() })).await;
    assert_eq!(all(stage, id).await, []);
    assert_eq!(stage.one(send(&signal(id, "a", "1"))).await, stored(id, 1, JobState::Available, None));
}

pub async fn a_job_that_is_with_a_worker_outside_takes_no_signals<B: Backend>(stage: &mut Stage<B>) {
    let (lease, _) = claimed(stage).await;
    let given = Operation::HandOver { lease, visible_for: 60 * SECOND };
    assert_eq!(stage.one(given).await, Outcome::HandedOver);
    let refused = Outcome::Signals(SignalOutcome::Outside);
    assert_eq!(stage.one(send(&signal(lease.id, "a", "1"))).await, refused);
    assert_eq!(all(stage, lease.id).await, []);
    stage.one(hear(&word(lease.id, Some(lease.token), Said::Completed { result: None }))).await;
}

pub async fn the_newest_state_of_the_newest_run_is_shown<B: Backend>(stage: &mut Stage<B>) {
    assert_eq!(stage.store.job_state(Uuid::now_v7()).await.unwrap(), None);
    let (first, _) = claimed(stage).await;
    let id = first.id;
    let shown = async |stage: &Stage<B>| {
        let record = stage.store.job_state(id).await.unwrap().unwrap();
        (record.state, record.attempt, record.published.map(|of| (of.value, of.attempt, of.at)))
    };
    assert_eq!(shown(stage).await, (JobState::Executing, 1, None));
    let at = stage.now();
    let later = at.saturating_add(SECOND);
    let says = |value, at| operation(report(first, Some((value, at)), &[]));
    // Two of one transaction, and an old one behind them.
    stage.apply(vec![says("1", at), says("{\"a\":\"\\u0000\"}", later), says("1", at)]).await;
    let newest = Some(("{\"a\":\"\\u0000\"}".to_owned(), 1, later));
    assert_eq!(shown(stage).await, (JobState::Executing, 1, newest.clone()));
    stage.one(says("1", at)).await;
    assert_eq!(shown(stage).await.2, newest);
    // Of the log and the progress nothing is lost with it.
    assert_eq!(stage.store.job(id).await.unwrap().unwrap().progress, None);
    let way = stage.way(id).await;
    assert_eq!(way, [EventType::Created, EventType::Validated], "a state is no event");
    // It stays when the run has ended, until the next is claimed.
    let retry_at = stage.now().saturating_add(SECOND);
    let last = operation(report(first, Some(("\"last\"", later.saturating_add(SECOND))), &[]));
    stage.apply(vec![last, finish(first, failed(Some(retry_at)))]).await;
    let ended = Some(("\"last\"".to_owned(), 1, later.saturating_add(SECOND)));
    assert_eq!(shown(stage).await, (JobState::Retryable, 1, ended));
    stage.pass(SECOND);
    stage.promote(1).await;
    let session = stage.session().await;
    let second = lease(&stage.claim("default", 1, session).await[0]);
    assert_eq!(shown(stage).await, (JobState::Executing, 2, None));
    let until = stage.now().saturating_add(SECOND);
    let says = operation(report(second, Some(("2", stage.now())), &[]));
    let at = stage.now();
    stage.apply(vec![says, finish(second, AttemptEnd::Snoozed { until })]).await;
    assert_eq!(shown(stage).await.2, Some(("2".to_owned(), 2, at)), "also of a run that goes on later");
}
