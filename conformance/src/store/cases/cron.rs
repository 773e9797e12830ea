//! The cron table: one job for each time, whoever leads.

use std::time::Duration;

use callboard_actors::{
    cron::{DueTime, Firing, job_id},
    edges::store::{
        Operation, Outcome,
        cron::{CalledOff, CronOperation, CronOutcome, CronRecord, Fire, NewCron},
        record::{JobFilter, NewJob},
    },
};
use callboard_contracts::{
    EventType, JobState, Timestamp,
    api::{CronDefinition, CronJob, CronOverlap, CronResult, CronSource},
};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{SECOND, cancelled, completed, job, lease, rescue},
};

const MINUTE: Duration = Duration::from_secs(60);

fn definition(expression: &str) -> CronDefinition {
    CronDefinition::new(expression, CronJob { job_type: "noop".into(), ..CronJob::default() })
}

fn at(due: Timestamp) -> Option<DueTime> {
    Some(DueTime { due, fires_at: due })
}

fn entry(name: &str, definition: CronDefinition, due: Timestamp) -> NewCron {
    NewCron { name: name.into(), definition, next: at(due) }
}

fn put(entry: NewCron) -> CronOperation {
    CronOperation::Put { entry: Box::new(entry), by: "somebody".into() }
}

async fn cron(client: &Client, operation: CronOperation) -> CronOutcome {
    match client.one(Operation::Cron(operation)).await {
        Outcome::Cron(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

async fn found(client: &Client, name: &str) -> CronRecord {
    client.store.cron_entry(name.into()).await.unwrap().expect("it is there")
}

/// The job of an entry for this time.
fn job_at(name: &str, due: Timestamp) -> NewJob {
    NewJob { id: job_id(name, due), ..job() }
}

/// As a leader fires an entry that waits for `due` and comes every minute.
fn fire(client: &Client, entry: &CronRecord, due: Timestamp) -> Fire {
    let next = due.saturating_add(MINUTE);
    Fire {
        name: entry.name.clone(),
        revision: entry.revision,
        firing: Firing { from: due, due: at(due), missed: 0, last_missed: None, next: at(next) },
        job: Ok(job_at(&entry.name, due)),
        leader: client.leader,
    }
}

async fn fired(client: &Client, fire: Fire) -> CronOutcome {
    cron(client, CronOperation::Fire(Box::new(fire))).await
}

/// An entry that waits for this moment.
async fn waiting<B: Backend>(stage: &Stage<B>, definition: CronDefinition) -> (CronRecord, Timestamp) {
    let now = stage.now();
    assert_eq!(cron(stage, put(entry("nightly", definition, now))).await, CronOutcome::Done);
    (found(stage, "nightly").await, now)
}

pub async fn an_entry_is_kept_to_the_letter<B: Backend>(stage: &mut Stage<B>) {
    let now = stage.now();
    let mut all = definition("30 2 * * MON-FRI");
    all.time_zone = "Europe/Berlin".into();
    all.jitter_ms = 1500;
    all.overlap = CronOverlap::Replace;
    all.job.payload.insert("ä\u{0}".into(), "'".into());
    all.job.tags = vec!["night".into()];
    let due = DueTime { due: now.saturating_add(MINUTE), fires_at: now.saturating_add(61 * SECOND) };
    let new = NewCron { name: "nightly".into(), definition: all.clone(), next: Some(due) };
    assert_eq!(cron(stage, put(new.clone())).await, CronOutcome::Done);
    stage.reopen().await;
    let kept = found(stage, "nightly").await;
    assert_eq!((&kept.definition, kept.next, kept.source), (&all, Some(due), CronSource::Api));
    assert_eq!((kept.set_by.as_str(), kept.created_at, kept.updated_at), ("somebody", now, now));
    assert_eq!((kept.fired, kept.skipped, kept.missed, kept.firings.len()), (0, 0, 0, 0));
    assert_eq!(stage.store.cron().await.unwrap(), std::slice::from_ref(&kept));
    // Put again, it is as it was; otherwise, it is another one, and waits on unless its times are others.
    stage.pass(SECOND);
    let later = at(now.saturating_add(10 * MINUTE));
    assert_eq!(cron(stage, put(NewCron { next: later, ..new.clone() })).await, CronOutcome::Done);
    assert_eq!(found(stage, "nightly").await, kept);
    let allowed = CronDefinition { overlap: CronOverlap::Allow, ..all.clone() };
    let changed = NewCron { definition: allowed.clone(), next: later, ..new.clone() };
    assert_eq!(cron(stage, put(changed)).await, CronOutcome::Done);
    let changed = found(stage, "nightly").await;
    assert_eq!((changed.next, changed.definition), (Some(due), allowed));
    assert!(changed.revision > kept.revision && changed.updated_at == stage.now());
    let moved = CronDefinition { time_zone: "UTC".into(), ..all };
    assert_eq!(cron(stage, put(NewCron { definition: moved, next: later, ..new })).await, CronOutcome::Done);
    assert_eq!(found(stage, "nightly").await.next, later);
    assert_eq!(cron(stage, CronOperation::Delete { name: "nightly".into() }).await, CronOutcome::Done);
    assert_eq!(cron(stage, CronOperation::Delete { name: "nightly".into() }).await, CronOutcome::NotFound);
    assert_eq!(stage.store.cron_entry("nightly".into()).await.unwrap(), None);
}

pub async fn a_time_stores_one_job<B: Backend>(stage: &mut Stage<B>) {
    let (waits, due) = waiting(stage, definition("* * * * *")).await;
    let first = fire(stage, &waits, due);
    let id = job_id("nightly", due);
    let stored =
        CronOutcome::Fired { job: id, queue: "default".into(), state: JobState::Available, called_off: None };
    assert_eq!(fired(stage, first.clone()).await, stored);
    // Whoever sends it again is told so, also after a crash.
    assert_eq!(fired(stage, first.clone()).await, CronOutcome::Changed);
    stage.kill().await;
    assert_eq!(fired(stage, first).await, CronOutcome::Changed);
    let after = found(stage, "nightly").await;
    assert_eq!((after.fired, after.last_job, after.next), (1, Some(id), at(due.saturating_add(MINUTE))));
    assert_eq!(after.revision, waits.revision, "nobody has changed it");
    let said = &after.firings[0];
    assert_eq!((said.due, said.at, said.result, said.job_id), (due, due, CronResult::Fired, Some(id)));
    assert_eq!(stage.list(JobFilter::default()).await.len(), 1);
    assert_eq!(stage.way(id).await, [EventType::Created]);
    // What was decided about another time, or another entry, is not done.
    let next = due.saturating_add(MINUTE);
    let stale = Fire { revision: after.revision + 1, ..fire(stage, &after, next) };
    assert_eq!(fired(stage, stale).await, CronOutcome::Changed);
    let unknown = Fire { name: "daily".into(), ..fire(stage, &after, next) };
    assert_eq!(fired(stage, unknown).await, CronOutcome::NotFound);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 1);
}

pub async fn of_many_that_fire_a_time_one_does<B: Backend>(stage: &mut Stage<B>) {
    let (mut waits, mut due) = waiting(stage, definition("* * * * *")).await;
    for round in 1..=10 {
        let mut all = JoinSet::new();
        for number in 0..8 {
            let (client, waits) = (stage.another(&format!("node-{number}")).await, waits.clone());
            all.spawn(async move { fired(&client, fire(&client, &waits, due)).await });
        }
        let outcomes = all.join_all().await;
        let won = outcomes.iter().filter(|outcome| matches!(outcome, CronOutcome::Fired { .. })).count();
        let lost = outcomes.iter().filter(|outcome| **outcome == CronOutcome::Changed).count();
        assert_eq!((won, lost), (1, 7), "{outcomes:?}");
        waits = found(stage, "nightly").await;
        due = due.saturating_add(MINUTE);
        assert_eq!((waits.fired, waits.next), (round, at(due)));
    }
    assert_eq!(stage.list(JobFilter::default()).await.len(), 10);
}

pub async fn a_leader_of_before_fires_nothing<B: Backend>(stage: &mut Stage<B>) {
    let (waits, due) = waiting(stage, definition("* * * * *")).await;
    if !B::SHARED {
        // The one process that has it always leads.
        return;
    }
    let old = fire(stage, &waits, due);
    stage.one(rescue(stage.leading, 10)).await;
    let second = stage.session().await;
    let led = stage.store.lead(second, 10_000 * MINUTE).await.unwrap();
    let callboard_actors::edges::store::Leadership::Leader { token } = led else { panic!("{led:?}") };
    let operation = Operation::Cron(CronOperation::Fire(Box::new(old.clone())));
    assert_eq!(stage.one(operation).await, Outcome::NotLeader);
    let sync = CronOperation::Sync { entries: vec![], node: "node".into(), all: true, leader: old.leader };
    assert_eq!(stage.one(Operation::Cron(sync)).await, Outcome::NotLeader);
    assert_eq!(found(stage, "nightly").await, waits);
    let outcome = fired(stage, Fire { leader: token, ..old }).await;
    assert!(matches!(outcome, CronOutcome::Fired { .. }), "{outcome:?}");
    stage.leading = second;
}

pub async fn those_that_are_due_come_first<B: Backend>(stage: &mut Stage<B>) {
    let now = stage.now();
    assert_eq!(stage.store.cron_due(10).await.unwrap(), Default::default());
    for (name, after) in [("c", 0), ("a", 2), ("b", 1), ("d", 3)] {
        let due = now.saturating_add(after * SECOND);
        cron(stage, put(entry(name, definition("* * * * *"), due))).await;
    }
    let names = async |stage: &Stage<B>, limit| {
        let due = stage.store.cron_due(limit).await.unwrap();
        (due.entries.into_iter().map(|entry| entry.name).collect::<Vec<_>>(), due.next_at)
    };
    assert_eq!(names(stage, 10).await, (vec!["c".into()], Some(now.saturating_add(SECOND))));
    stage.pass(2 * SECOND);
    let last = Some(now.saturating_add(3 * SECOND));
    assert_eq!(names(stage, 10).await, (["c", "b", "a"].map(str::to_owned).into(), last));
    // With more than was asked for, it is worth asking again at once.
    assert_eq!(names(stage, 2).await, (["c", "b"].map(str::to_owned).into(), Some(stage.now())));
    assert_eq!(cron(stage, CronOperation::Pause { name: "d".into() }).await, CronOutcome::Done);
    assert_eq!(names(stage, 10).await.1, None);
    let all = stage.store.cron().await.unwrap();
    assert_eq!(all.iter().map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

pub async fn a_paused_entry_waits_for_nothing<B: Backend>(stage: &mut Stage<B>) {
    let (waits, due) = waiting(stage, definition("* * * * *")).await;
    let pause = || CronOperation::Pause { name: "nightly".into() };
    let resume = |revision, next| CronOperation::Resume { name: "nightly".into(), revision, next };
    assert_eq!(cron(stage, pause()).await, CronOutcome::Done);
    let paused = found(stage, "nightly").await;
    assert_eq!((paused.paused_at, paused.next), (Some(due), None));
    stage.pass(SECOND);
    assert_eq!(cron(stage, pause()).await, CronOutcome::Done);
    assert_eq!(found(stage, "nightly").await, paused, "since when it was");
    assert_eq!(fired(stage, fire(stage, &waits, due)).await, CronOutcome::Changed);
    // Changed, it stays paused.
    cron(stage, put(entry("nightly", definition("*/2 * * * *"), due))).await;
    let changed = found(stage, "nightly").await;
    assert_eq!((changed.paused_at, changed.next), (Some(due), None));
    let next = at(due.saturating_add(MINUTE));
    assert_eq!(cron(stage, resume(paused.revision, next)).await, CronOutcome::Changed);
    assert_eq!(cron(stage, resume(changed.revision, next)).await, CronOutcome::Done);
    let resumed = found(stage, "nightly").await;
    assert_eq!((resumed.paused_at, resumed.next), (None, next));
    assert_eq!(cron(stage, resume(0, None)).await, CronOutcome::Done, "it goes on already");
    assert_eq!(found(stage, "nightly").await, resumed);
    let unknown = CronOperation::Pause { name: "daily".into() };
    assert_eq!(cron(stage, unknown).await, CronOutcome::NotFound);
}

/// Fires the entry for its next time, a minute later.
async fn again<B: Backend>(stage: &Stage<B>) -> (CronOutcome, Uuid) {
    stage.pass(MINUTE);
    let waits = found(stage, "nightly").await;
    let due = waits.next.expect("it waits").due;
    (fired(stage, fire(stage, &waits, due)).await, job_id("nightly", due))
}

pub async fn the_job_before_is_waited_for<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let skip = CronDefinition { overlap: CronOverlap::Skip, ..definition("* * * * *") };
    waiting(stage, skip).await;
    let (_, first) = again(stage).await;
    for state in ["available", "executing"] {
        let (outcome, _) = again(stage).await;
        let CronOutcome::Skipped { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains(&first.to_string()) && reason.contains(state), "{reason}");
        stage.claim("default", 1, session).await;
    }
    let skipped = found(stage, "nightly").await;
    assert_eq!((skipped.fired, skipped.skipped, skipped.last_job), (1, 2, Some(first)));
    assert_eq!(skipped.firings[0].result, CronResult::Skipped);
    assert!(skipped.firings[0].reason.as_ref().unwrap().contains("executing"));
    let running = stage.record(first).await;
    let leased = stage.one(Operation::Reclaim { queue: "default".into(), limit: 1, session, known: vec![] });
    let Outcome::Claimed(jobs) = leased.await else { panic!("{running:?}") };
    stage.finish(lease(&jobs[0]), completed()).await;
    let (outcome, _) = again(stage).await;
    assert!(matches!(outcome, CronOutcome::Fired { .. }), "{outcome:?}");
}

pub async fn the_job_before_is_replaced<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let replace = CronDefinition { overlap: CronOverlap::Replace, ..definition("* * * * *") };
    waiting(stage, replace).await;
    let (_, first) = again(stage).await;
    // One that waits is cancelled at once.
    let (outcome, second) = again(stage).await;
    let CronOutcome::Fired { called_off: None, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(stage.state(first).await, JobState::Cancelled);
    assert!(found(stage, "nightly").await.firings[0].reason.as_ref().unwrap().contains("cancelled"));
    // One that runs is told to end.
    let running = stage.claim("default", 5, session).await;
    assert_eq!(running.iter().map(|job| job.id).collect::<Vec<_>>(), [second]);
    let (outcome, third) = again(stage).await;
    let told = CalledOff { lease: lease(&running[0]), queue: "default".into(), session };
    let CronOutcome::Fired { called_off, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(called_off, Some(told));
    assert!(stage.record(second).await.cancel_requested_at.is_some());
    stage.finish(lease(&running[0]), cancelled()).await;
    assert_eq!(stage.state(third).await, JobState::Available);
    // What has ended is left alone.
    let running = stage.claim("default", 5, session).await;
    stage.finish(lease(&running[0]), completed()).await;
    again(stage).await;
    assert_eq!(stage.state(third).await, JobState::Completed);
}

pub async fn a_job_for_which_there_is_no_room_waits_a_minute<B: Backend>(stage: &mut Stage<B>) {
    let (waits, due) = waiting(stage, definition("* * * * *")).await;
    let full =
        || Fire { job: Ok(NewJob { max_backlog: 0, ..job_at("nightly", due) }), ..fire(stage, &waits, due) };
    let outcome = fired(stage, full()).await;
    let CronOutcome::Full { reason } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("\"default\" is full"), "{reason}");
    assert_eq!(found(stage, "nightly").await, waits, "it waits");
    stage.pass(MINUTE);
    let outcome = fired(stage, full()).await;
    assert_eq!(outcome, CronOutcome::Skipped { reason });
    let after = found(stage, "nightly").await;
    assert_eq!((after.skipped, after.fired, after.next), (1, 0, at(due.saturating_add(MINUTE))));
    assert!(stage.list(JobFilter::default()).await.is_empty());
    // Nor is there one that cannot be made.
    let refused =
        Fire { job: Err("no such queue".into()), ..fire(stage, &after, due.saturating_add(MINUTE)) };
    assert_eq!(fired(stage, refused).await, CronOutcome::Skipped { reason: "no such queue".into() });
}

pub async fn missed_times_are_counted<B: Backend>(stage: &mut Stage<B>) {
    let (waits, due) = waiting(stage, definition("* * * * *")).await;
    stage.pass(10 * MINUTE);
    let minutes = |count: u32| due.saturating_add(count * MINUTE);
    // As `last` does it.
    let last = Firing {
        from: due,
        due: at(minutes(3)),
        missed: 3,
        last_missed: Some(minutes(2)),
        next: at(minutes(4)),
    };
    let job = Ok(job_at("nightly", minutes(3)));
    let outcome = fired(stage, Fire { firing: last, job, ..fire(stage, &waits, due) }).await;
    assert!(matches!(outcome, CronOutcome::Fired { .. }), "{outcome:?}");
    let after = found(stage, "nightly").await;
    assert_eq!((after.fired, after.missed, after.next), (1, 3, at(minutes(4))));
    let said: Vec<_> = after.firings.iter().map(|firing| (firing.due, firing.result)).collect();
    assert_eq!(said, [(minutes(3), CronResult::Fired), (minutes(2), CronResult::Missed)]);
    // And as `none` does.
    let none = Firing { from: minutes(4), due: None, missed: 1, last_missed: Some(minutes(4)), next: None };
    let job = Err("missed".into());
    let outcome = fired(stage, Fire { firing: none, job, ..fire(stage, &after, due) }).await;
    assert!(matches!(outcome, CronOutcome::Skipped { .. }), "{outcome:?}");
    let after = found(stage, "nightly").await;
    assert_eq!((after.fired, after.skipped, after.missed, after.next), (1, 0, 4, None));
    assert_eq!(stage.store.cron_due(10).await.unwrap(), Default::default());
}

pub async fn the_last_times_are_kept<B: Backend>(stage: &mut Stage<B>) {
    waiting(stage, definition("* * * * *")).await;
    for _ in 0..12 {
        again(stage).await;
    }
    let after = found(stage, "nightly").await;
    assert_eq!((after.fired, after.firings.len()), (12, CronRecord::FIRINGS));
    assert!(after.firings.is_sorted_by(|newer, older| newer.due > older.due));
    assert_eq!(after.firings[0].job_id, after.last_job);
}

pub async fn a_job_of_an_entry_is_stored_by_hand<B: Backend>(stage: &mut Stage<B>) {
    let (waits, due) = waiting(stage, definition("* * * * *")).await;
    let by_hand = job();
    let run =
        |revision| CronOperation::Run { name: "nightly".into(), revision, job: Box::new(by_hand.clone()) };
    assert_eq!(cron(stage, run(waits.revision + 1)).await, CronOutcome::Changed);
    let outcome = cron(stage, run(waits.revision)).await;
    assert!(matches!(outcome, CronOutcome::Fired { job, .. } if job == by_hand.id), "{outcome:?}");
    // Asked again since the answer was lost, it is stored once.
    assert_eq!(cron(stage, run(waits.revision)).await, outcome);
    let after = found(stage, "nightly").await;
    assert_eq!((after.fired, after.last_job, after.next), (0, Some(by_hand.id), at(due)));
    assert_eq!(after.firings.iter().map(|firing| firing.result).collect::<Vec<_>>(), [CronResult::ByHand]);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 1);
    // Also while it is paused; not when its queue is full.
    cron(stage, CronOperation::Pause { name: "nightly".into() }).await;
    let revision = found(stage, "nightly").await.revision;
    let full = NewJob { max_backlog: 1, ..job() };
    let run = CronOperation::Run { name: "nightly".into(), revision, job: Box::new(full) };
    assert!(matches!(cron(stage, run).await, CronOutcome::Full { .. }));
    let run = CronOperation::Run { name: "nightly".into(), revision, job: Box::new(job()) };
    assert!(matches!(cron(stage, run).await, CronOutcome::Fired { .. }));
}

pub async fn a_configuration_keeps_its_entries_and_no_others<B: Backend>(stage: &mut Stage<B>) {
    let now = stage.now();
    let due = now.saturating_add(MINUTE);
    let new = |name: &str| entry(name, definition("* * * * *"), due);
    let leader = stage.leader;
    let sync = |node: &str, all, names: &[&str]| CronOperation::Sync {
        entries: names.iter().map(|name| new(name)).collect(),
        node: node.into(),
        all,
        leader,
    };
    let synced = |changed, taken_out: &[&str], refused: &[&str]| CronOutcome::Synced {
        changed,
        taken_out: taken_out.iter().map(|name| (*name).into()).collect(),
        refused: refused.iter().map(|name| (*name).into()).collect(),
    };
    cron(stage, put(new("mine"))).await;
    assert_eq!(cron(stage, sync("one", true, &["a", "b", "mine"])).await, synced(2, &[], &["mine"]));
    assert_eq!(found(stage, "mine").await.source, CronSource::Api);
    assert_eq!(found(stage, "a").await.source, CronSource::Configuration);
    // Requests can pause it, and neither change it nor take it out.
    let taken = CronOutcome::Taken { source: CronSource::Configuration };
    assert_eq!(cron(stage, put(entry("a", definition("0 0 * * *"), due))).await, taken);
    assert_eq!(cron(stage, CronOperation::Delete { name: "a".into() }).await, taken);
    assert_eq!(cron(stage, CronOperation::Pause { name: "a".into() }).await, CronOutcome::Done);
    // The same again, later: it stays paused, and the others wait on.
    stage.pass(SECOND);
    assert_eq!(cron(stage, sync("one", true, &["a", "b"])).await, synced(0, &[], &[]));
    assert!(found(stage, "a").await.paused_at.is_some());
    assert_eq!(found(stage, "b").await.next, at(due));
    // A leader without any leaves those of others; one that has some does not.
    assert_eq!(cron(stage, sync("two", false, &[])).await, synced(0, &[], &[]));
    assert_eq!(cron(stage, sync("two", true, &["b"])).await, synced(1, &["a"], &[]));
    assert_eq!(found(stage, "b").await.next, at(due), "it goes on with what it waited for");
    assert_eq!(cron(stage, sync("one", false, &[])).await, synced(0, &[], &[]), "it is the other one's now");
    assert_eq!(cron(stage, sync("two", false, &[])).await, synced(0, &["b"], &[]));
    let names: Vec<String> = stage.store.cron().await.unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["mine"]);
}

pub async fn entries_are_not_without_bound<B: Backend>(stage: &mut Stage<B>) {
    let most = CronRecord::MOST;
    let due = stage.now();
    let new = |number: u32| entry(&format!("entry-{number:04}"), definition("* * * * *"), due);
    let puts = (0..most).map(|number| Operation::Cron(put(new(number))));
    stage.apply(puts.collect()).await;
    assert_eq!(cron(stage, put(new(most))).await, CronOutcome::TooMany { limit: most });
    let changed = entry("entry-0000", definition("0 0 * * *"), due);
    assert_eq!(cron(stage, put(changed)).await, CronOutcome::Done, "those that are there can be changed");
    cron(stage, CronOperation::Delete { name: "entry-0001".into() }).await;
    assert_eq!(cron(stage, put(new(most))).await, CronOutcome::Done);
}
