//! What running attempts say of themselves.

use std::time::Duration;

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, Lease},
    report::{Report, ReportedLine, ReportedProgress},
};
use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{JobLogPage, JobLogPosition, JobLogQuery, JobProgress, LogLevel},
};
use serde_json::json;
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{DAY, SECOND, completed, enqueue, failed, finish, job, lease, prune, rescue, start},
};

fn nothing(lease: Lease) -> Report {
    Report {
        lease,
        started_at: None,
        first: false,
        progress: None,
        published: None,
        taken: Vec::new(),
        lines: Vec::new(),
        forget: None,
    }
}

fn progress(fraction: f64, at: Timestamp) -> Option<ReportedProgress> {
    Some(ReportedProgress { fraction, message: None, at })
}

fn lines(at: Timestamp, numbers: impl IntoIterator<Item = u64>) -> Vec<ReportedLine> {
    let line = |number| ReportedLine { number, at, level: LogLevel::Info, text: format!("line {number}") };
    numbers.into_iter().map(line).collect()
}

fn operation(report: &Report) -> Operation {
    Operation::Report(Box::new(report.clone()))
}

/// A job that is claimed, and its lease.
async fn claimed<B: Backend>(stage: &Stage<B>) -> Lease {
    stage.one(enqueue(&job())).await;
    again(stage).await
}

/// Claims the one that is available.
async fn again<B: Backend>(stage: &Stage<B>) -> Lease {
    let session = stage.session().await;
    lease(&stage.claim("default", 1, session).await[0])
}

async fn said(client: &Client, job: Uuid) -> Option<JobProgress> {
    client.store.job(job).await.unwrap().unwrap().progress
}

async fn page(client: &Client, job: Uuid, query: JobLogQuery) -> JobLogPage {
    client.store.job_log(job, query).await.unwrap().unwrap()
}

/// The numbers of the lines of a job's log that are there.
async fn numbers(client: &Client, job: Uuid) -> Vec<u64> {
    let query = JobLogQuery { limit: Some(1000), ..JobLogQuery::default() };
    page(client, job, query).await.lines.iter().map(|line| line.position.number).collect()
}

pub async fn what_a_run_says_is_kept_and_told<B: Backend>(stage: &mut Stage<B>) {
    let lease = claimed(stage).await;
    let at = stage.now();
    stage.one(start(lease, at)).await;
    let words = ["", "ä\u{0}b", "\u{1b}[2J \"{}\"", "a\nb"];
    let texts = words.into_iter().zip(LogLevel::ALL).zip(1..);
    let report = Report {
        progress: Some(ReportedProgress { fraction: 0.1, message: Some("\u{0}half \"way\"".into()), at }),
        lines: texts
            .map(|((text, level), number)| ReportedLine { number, at, level, text: text.into() })
            .collect(),
        first: true,
        ..nothing(lease)
    };
    assert_eq!(stage.one(operation(&report)).await, Outcome::Reported);
    let told = said(stage, lease.id).await.unwrap();
    assert_eq!((told.fraction, told.at, told.attempt), (0.1, at, 1));
    assert!(told.message.unwrap().ends_with("half \"way\""));
    let log = page(stage, lease.id, JobLogQuery::default()).await;
    assert!(!log.ended && !log.more);
    assert_eq!(log.next, Some(JobLogPosition { token: lease.token, number: 4 }));
    for (line, (text, level)) in log.lines.iter().zip(words.into_iter().zip(LogLevel::ALL)) {
        // Not every database holds a NUL.
        assert_eq!(line.text.replace('\0', "\u{fffd}"), text.replace('\0', "\u{fffd}"));
        assert_eq!((line.level, line.attempt, line.at, line.dropped_before), (level, 1, at, 0));
    }
    assert_eq!(log.lines.len(), 4);
    let event = stage.log().await.pop().unwrap().event;
    assert_eq!((event.event_type, &*event.contract_version), (EventType::Progressed, "1.1.0"));
    assert_eq!(event.payload["progress"]["fraction"], json!(0.1));
    assert_eq!((&event.payload["attempt"], &event.payload["status"]), (&json!(1), &json!("EXECUTING")));
    // Lines alone are no event, and are kept over a death.
    let more = Report { lines: lines(at, 5..=5), ..nothing(lease) };
    assert_eq!(stage.one(operation(&more)).await, Outcome::Reported);
    stage.kill().await;
    assert_eq!(stage.log().await.pop().unwrap().event.event_id, event.event_id);
    assert_eq!(numbers(stage, lease.id).await, [1, 2, 3, 4, 5]);
    assert_eq!(said(stage, lease.id).await.unwrap().fraction, 0.1);
    assert_eq!(stage.store.job_log(Uuid::now_v7(), JobLogQuery::default()).await.unwrap(), None);
}

pub async fn a_report_that_is_sent_again_changes_nothing<B: Backend>(stage: &mut Stage<B>) {
    let lease = claimed(stage).await;
    let at = stage.now();
    let report =
        Report { progress: progress(0.5, at), lines: lines(at, 1..=3), first: true, ..nothing(lease) };
    let both = stage.apply(vec![operation(&report), operation(&report)]).await;
    assert_eq!(both, [Outcome::Reported, Outcome::Reported]);
    assert_eq!(stage.one(operation(&report)).await, Outcome::Reported);
    let way = stage.way(lease.id).await;
    assert_eq!(way, [EventType::Created, EventType::Validated, EventType::Progressed]);
    assert_eq!(numbers(stage, lease.id).await, [1, 2, 3]);
}

pub async fn of_two_words_on_the_progress_the_later_one_counts<B: Backend>(stage: &mut Stage<B>) {
    let lease = claimed(stage).await;
    let at = stage.now();
    let report = |fraction, at| operation(&Report { progress: progress(fraction, at), ..nothing(lease) });
    let later = at.saturating_add(SECOND);
    stage.apply(vec![report(0.5, later), report(0.2, at)]).await;
    assert_eq!(said(stage, lease.id).await.unwrap().fraction, 0.5);
    stage.one(report(0.3, at)).await;
    assert_eq!(said(stage, lease.id).await.unwrap().fraction, 0.5);
    // Less is news, too, if it is said later.
    stage.one(report(0.1, later.saturating_add(SECOND))).await;
    assert_eq!(said(stage, lease.id).await.unwrap().fraction, 0.1);
    let told = stage.way(lease.id).await.into_iter().filter(|event| *event == EventType::Progressed);
    assert_eq!(told.count(), 2);
}

pub async fn only_the_current_lease_can_report<B: Backend>(stage: &mut Stage<B>) {
    let at = stage.now();
    let report = |lease| {
        let report = Report { progress: progress(0.5, at), lines: lines(at, 1..=3), ..nothing(lease) };
        operation(&report)
    };
    let waiting = job();
    stage.one(enqueue(&waiting)).await;
    let refused = [Lease { id: waiting.id, token: 0 }, Lease { id: Uuid::now_v7(), token: 1 }];
    assert_eq!(stage.apply(refused.map(report).into()).await, [Outcome::Stale, Outcome::Stale]);
    let session = stage.session().await;
    let lost = lease(&stage.claim("default", 1, session).await[0]);
    assert_eq!(stage.one(report(Lease { token: lost.token + 1, ..lost })).await, Outcome::Stale);
    stage.one(rescue(session, 10)).await;
    assert_eq!(stage.one(report(lost)).await, Outcome::Stale);
    let held = again(stage).await;
    assert_eq!(stage.apply(vec![report(lost), report(held)]).await, [Outcome::Stale, Outcome::Reported]);
    stage.finish(held, completed()).await;
    assert_eq!(stage.one(report(held)).await, Outcome::Stale);
    let log = page(stage, waiting.id, JobLogQuery::default()).await;
    assert!(log.lines.iter().all(|line| line.position.token == held.token) && log.lines.len() == 3);
}

pub async fn a_report_can_tell_of_the_start_as_well<B: Backend>(stage: &mut Stage<B>) {
    let lease = claimed(stage).await;
    let at = stage.now();
    let report = Report { started_at: Some(at), progress: progress(1.0, at), ..nothing(lease) };
    stage.one(operation(&report)).await;
    stage.one(start(lease, at)).await;
    let way = stage.way(lease.id).await;
    assert_eq!(way, [EventType::Created, EventType::Validated, EventType::Executed, EventType::Progressed]);
    assert_eq!(stage.record(lease.id).await.started_at, Some(at));
}

pub async fn each_run_has_a_log_of_its_own_and_begins_without_progress<B: Backend>(stage: &mut Stage<B>) {
    let first = claimed(stage).await;
    let at = stage.now();
    let report = |lease, fraction| {
        let lines = lines(at, 1..=2);
        operation(&Report { progress: progress(fraction, at), lines, first: true, ..nothing(lease) })
    };
    stage.one(report(first, 0.9)).await;
    stage.finish(first, failed(Some(at))).await;
    assert_eq!(said(stage, first.id).await.unwrap().fraction, 0.9, "until the next one begins");
    stage.promote(10).await;
    let second = again(stage).await;
    assert_eq!(said(stage, first.id).await, None);
    stage.one(report(second, 0.3)).await;
    let told = said(stage, first.id).await.unwrap();
    assert_eq!((told.fraction, told.attempt), (0.3, 2));
    let of = async |attempt| page(stage, first.id, JobLogQuery { attempt, ..JobLogQuery::default() }).await;
    let (one, two, all) = (of(Some(1)).await, of(Some(2)).await, of(None).await);
    assert!(one.ended && !two.ended && !all.ended);
    assert!(one.lines.iter().all(|line| line.attempt == 1) && one.lines.len() == 2);
    assert!(two.lines.iter().all(|line| line.attempt == 2) && two.lines.len() == 2);
    assert_eq!(all.lines, [one.lines, two.lines].concat());
    assert!(!of(Some(3)).await.ended);
    // One whose lease was taken from it is the newest until then, too; one that is handed back is not shown for the next.
    let session = stage.session().await;
    stage.finish(second, AttemptEnd::Released).await;
    let third = lease(&stage.claim("default", 1, session).await[0]);
    assert_eq!(said(stage, first.id).await, None);
    stage.one(report(third, 0.4)).await;
    stage.one(rescue(session, 10)).await;
    assert_eq!(said(stage, first.id).await.unwrap().fraction, 0.4);
    let fourth = again(stage).await;
    stage.finish(fourth, completed()).await;
    assert_eq!(said(stage, first.id).await, None);
    assert!(of(None).await.ended && of(Some(7)).await.ended);
}

pub async fn a_log_is_read_page_by_page_and_shows_its_gaps<B: Backend>(stage: &mut Stage<B>) {
    let lease = claimed(stage).await;
    let at = stage.now();
    let all = Report { lines: lines(at, (1..=5).chain(10..=20)), first: true, ..nothing(lease) };
    stage.one(operation(&all)).await;
    let forget = Report { lines: lines(at, 21..=22), forget: Some((6, 14)), ..nothing(lease) };
    stage.one(operation(&forget)).await;
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let part = page(stage, lease.id, JobLogQuery { after, limit: Some(3), attempt: None }).await;
        assert!(part.lines.len() <= 3);
        found.extend(part.lines.iter().map(|line| (line.position.number, line.dropped_before)));
        after = part.next;
        if !part.more {
            break;
        }
    }
    let kept: Vec<(u64, u64)> =
        (1..=5).chain(15..=22).map(|number| (number, if number == 15 { 9 } else { 0 })).collect();
    assert_eq!(found, kept);
    let end = page(stage, lease.id, JobLogQuery { after, ..JobLogQuery::default() }).await;
    assert!(end.lines.is_empty());
    assert_eq!(end.next, after);
}

pub async fn a_report_and_the_end_of_its_run_can_come_together<B: Backend>(stage: &mut Stage<B>) {
    let lease = claimed(stage).await;
    let at = stage.now();
    let last = Report {
        started_at: Some(at),
        progress: progress(1.0, at),
        lines: lines(at, 1..=1),
        ..nothing(lease)
    };
    let both = vec![operation(&last), finish(lease, completed())];
    let finished = Outcome::Finished { state: JobState::Completed };
    assert_eq!(stage.apply(both.clone()).await, [Outcome::Reported, finished.clone()]);
    // Sent again, the end is known, and what came with it is there.
    assert_eq!(stage.apply(both).await, [Outcome::Stale, finished]);
    assert_eq!(said(stage, lease.id).await.unwrap().fraction, 1.0);
    assert_eq!(numbers(stage, lease.id).await, [1]);
    let way = stage.way(lease.id).await;
    assert_eq!(way[way.len() - 2..], [EventType::Progressed, EventType::Completed]);
}

pub async fn what_runs_said_is_deleted_with_their_job_in_bounded_steps<B: Backend>(stage: &mut Stage<B>) {
    let mut jobs = Vec::new();
    for _ in 0..2 {
        let lease = claimed(stage).await;
        let at = stage.now();
        let report =
            Report { progress: progress(1.0, at), lines: lines(at, 1..=35), first: true, ..nothing(lease) };
        stage.apply(vec![operation(&report), finish(lease, completed())]).await;
        jobs.push(lease.id);
    }
    stage.pass(2 * DAY);
    let mut steps = 0;
    loop {
        steps += 1;
        let pruned = stage.one(stage.pruning(prune(1))).await;
        let Outcome::Pruned { more, .. } = pruned else { panic!("{pruned:?}") };
        if !more {
            break;
        }
    }
    assert!(steps > 8, "{steps} steps of ten lines each");
    for id in &jobs {
        assert_eq!(stage.store.job_log(*id, JobLogQuery::default()).await.unwrap(), None);
    }
    // A job that is stored anew under the same id has nothing of it.
    let anew = callboard_actors::edges::store::record::NewJob { id: jobs[0], ..job() };
    stage.one(enqueue(&anew)).await;
    assert_eq!(said(stage, jobs[0]).await, None);
    assert!(numbers(stage, jobs[0]).await.is_empty());
}

pub async fn the_last_hundred_runs_keep_what_they_said<B: Backend>(stage: &mut Stage<B>) {
    stage.one(enqueue(&job())).await;
    let session = stage.session().await;
    let mut tokens = Vec::new();
    let mut id = Uuid::nil();
    for _ in 0..105 {
        let lease = lease(&stage.claim("default", 1, session).await[0]);
        let at = stage.now();
        let report = Report { lines: lines(at, 1..=1), first: true, ..nothing(lease) };
        let snoozed = AttemptEnd::Snoozed { until: at.saturating_add(Duration::from_millis(1)) };
        stage.apply(vec![operation(&report), finish(lease, snoozed)]).await;
        stage.pass(SECOND);
        stage.promote(10).await;
        tokens.push(lease.token);
        id = lease.id;
    }
    let query = JobLogQuery { limit: Some(1000), ..JobLogQuery::default() };
    let kept: Vec<u64> = page(stage, id, query).await.lines.iter().map(|line| line.position.token).collect();
    assert_eq!(kept, tokens[5..]);
}
