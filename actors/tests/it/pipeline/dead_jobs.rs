//! Dead jobs and what is done with many jobs.

use std::{collections::BTreeMap, sync::atomic::Ordering::SeqCst, time::Duration};

use callboard_actors::{
    edges::store::dead_jobs::CauseQuery,
    roles::{
        RolesConfig,
        request::{
            BulkAnswer, BulkJobs, CompareJob, GetAudit, GetDeadCauses, ListBulks, PauseQueue, Refusal,
            RetryEdited, StopBulk,
        },
    },
};
use callboard_contracts::{
    JobState,
    api::{BulkOutcome, BulkState, BulkView, Change, DeadCause, RetryEdit},
};
use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::{Folder, Node};

fn soon(config: &mut RolesConfig) {
    config.schedule_poll = Duration::from_millis(20);
}

/// Jobs that are dead, and what they died of.
async fn dead(node: &Node, count: usize) -> Vec<Uuid> {
    let ids = node.submit_all(vec![json!({"type": "fail", "payload": {"fatal": true}}); count]).await;
    for id in &ids {
        node.reaches(*id, JobState::Discarded).await;
    }
    ids
}

async fn causes(node: &Node) -> Vec<DeadCause> {
    let query = CauseQuery { limit: 100, ..CauseQuery::default() };
    node.handles.read_model.ask(GetDeadCauses { query }).await.unwrap().unwrap().causes
}

async fn bulk(node: &Node, start: Value) -> Result<BulkAnswer, Refusal> {
    node.handles.gateway.ask(BulkJobs { start: serde_json::from_value(start).unwrap() }).await.unwrap()
}

async fn begun(node: &Node, start: Value) -> BulkView {
    match bulk(node, start).await.unwrap() {
        BulkAnswer::Begun(view) => view,
        other => panic!("{other:?}"),
    }
}

async fn view(node: &Node, id: Uuid) -> BulkView {
    node.handles.read_model.ask(ListBulks { id: Some(id), limit: 1 }).await.unwrap().unwrap().remove(0)
}

/// Waits until the operation has ended.
async fn ended(node: &Node, id: Uuid) -> BulkView {
    let looking = node.until("the end of a bulk operation", async || {
        let view = view(node, id).await;
        (view.state != BulkState::Running).then_some(view)
    });
    looking.await
}

async fn edit(node: &Node, id: Uuid, edit: Value) -> Result<Uuid, Refusal> {
    let edit: RetryEdit = serde_json::from_value(edit).unwrap();
    let retried = node.handles.gateway.ask(RetryEdited { id, edit }).await.unwrap()?;
    assert_eq!(retried.replay_of, Some(id));
    Ok(retried.id)
}

#[tokio::test]
async fn a_dead_job_is_compared_edited_and_run_again() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let fine = node.submit(json!({"type": "flaky", "payload": {"number": 1, "panics": 0}})).await.unwrap().id;
    node.reaches(fine, JobState::Completed).await;
    let payload = json!({"number": 2, "panics": 9});
    let died = node.submit(json!({"type": "flaky", "payload": payload, "max_attempts": 1})).await.unwrap().id;
    let job = node.reaches(died, JobState::Discarded).await;
    let group = causes(&node).await.remove(0);
    assert_eq!((&*group.job_type, group.count, group.sample), ("flaky", 1, died));
    assert_eq!(job.summary.cause.as_ref(), Some(&group.cause));
    assert!(group.title.starts_with("panicked: number # in attempt #"), "{}", group.title);

    let compared = node.handles.read_model.ask(CompareJob { id: died }).await.unwrap().unwrap().unwrap();
    let success = compared.success.unwrap();
    assert_eq!(
        (success.id, success.state, success.node.as_deref()),
        (fine, JobState::Completed, Some("node"))
    );
    assert_eq!((compared.job.attempt, compared.job.state), (1, JobState::Discarded));
    let told: Vec<(&str, Change)> =
        compared.differences.iter().map(|place| (&*place.pointer, place.change)).collect();
    assert_eq!(told, [("/number", Change::Changed), ("/panics", Change::Changed)]);
    let nobody = CompareJob { id: Uuid::now_v7() };
    assert_eq!(node.handles.read_model.ask(nobody).await.unwrap().unwrap(), None);

    // What does not fit the type is refused as at the gate, and nothing is stored.
    let pointers = |refusal| match refusal {
        Refusal::Invalid(errors) => errors.into_iter().map(|error| error.pointer).collect::<Vec<_>>(),
        other => panic!("{other}"),
    };
    let refused = edit(&node, died, json!({"patch": {"panics": "x"}})).await.unwrap_err();
    assert_eq!(pointers(refused), ["/payload/panics"]);
    let both = json!({"patch": {}, "payload": {}});
    assert_eq!(pointers(edit(&node, died, both).await.unwrap_err()), [""]);
    let long = json!({"patch": {}, "reason": "x".repeat(501)});
    assert_eq!(pointers(edit(&node, died, long).await.unwrap_err()), ["/reason"]);
    let large = edit(&node, died, json!({"patch": {"x": "y".repeat(20_000_000)}})).await.unwrap_err();
    assert!(matches!(large, Refusal::TooLarge { .. }), "{large}");
    assert!(edit(&node, fine, json!({"patch": {"panics": true}})).await.is_err());

    let again = edit(&node, died, json!({"patch": {"panics": 0}, "reason": "it panicked"})).await.unwrap();
    let replay = node.reaches(again, JobState::Completed).await;
    assert_eq!((replay.replay_of, replay.result), (Some(died), Some(json!(2))));
    assert_eq!(Value::Object(replay.payload.clone()), json!({"number": 2, "panics": 0}));
    let whole = json!({"payload": {"number": 3, "panics": 0}});
    let second = edit(&node, died, whole).await.unwrap();
    let original = node.job(died).await;
    assert_eq!((original.payload, original.summary.state), (job.payload, JobState::Discarded));
    let told: Vec<_> = original.edits.iter().map(|edit| (edit.original, edit.replay)).collect();
    assert_eq!(told, [(died, second), (died, again)]);
    assert_eq!(original.edits[0].patch, json!({"number": 3, "panics": 0}).as_object().cloned());
    assert_eq!(replay.edits, original.edits[1..]);
    assert_eq!((&*replay.edits[0].by, replay.edits[0].reason.as_deref()), ("node test", Some("it panicked")));

    // A job that is not finished stays as it is.
    let waits = json!({"type": "noop", "scheduled_at": "2099-01-01T00:00:00Z"});
    let waits = node.submit(waits).await.unwrap().id;
    let refused = edit(&node, waits, json!({"patch": {}})).await.unwrap_err();
    assert!(matches!(refused, Refusal::WrongState { state: JobState::Scheduled, .. }), "{refused}");
    let page = node.handles.read_model.ask(GetAudit { before: None, limit: 100 }).await.unwrap().unwrap();
    let kept = page.entries.iter().find(|entry| entry.outcome == format!("runs again as {again}")).unwrap();
    assert_eq!((&*kept.action, &*kept.target), ("job.retry", &*died.to_string()));
    node.stop().await;
}

#[tokio::test]
async fn many_dead_jobs_are_counted_and_run_again_once_each() {
    let folder = Folder::new();
    let node = Node::configured(&folder, soon).await;
    let ids = dead(&node, 130).await;
    let group = causes(&node).await.remove(0);
    assert_eq!((&*group.title, group.count, group.at_least), ("no use", 130, false));
    let before = node.stage.runs.load(SeqCst);
    let filter = json!({"cause": group.cause});
    let dry = json!({"action": "retry", "filter": filter, "dry_run": true});
    let BulkAnswer::Preview(preview) = bulk(&node, dry).await.unwrap() else { panic!("it is dry") };
    assert_eq!((preview.matched, preview.at_least, preview.sample.len()), (130, false, 10));
    assert_eq!(preview.sample[0].id, ids[129], "the newest");
    assert_eq!(node.stage.runs.load(SeqCst), before);

    let id = Uuid::now_v7();
    let start = json!({"id": id, "action": "retry", "filter": filter, "reason": "mended"});
    let first = begun(&node, start.clone()).await;
    assert_eq!((first.id, first.matched, &*first.by), (id, 130, "node test"));
    assert_eq!(begun(&node, start).await.started_at, first.started_at, "sent again, it is one");
    let done = ended(&node, id).await;
    assert_eq!(done.state, BulkState::Done);
    assert_eq!(done.outcomes, BTreeMap::from([(BulkOutcome::Replayed, 130)]));
    assert_eq!((done.dealt_with, done.problems.len()), (130, 0));
    // The new ones die in turn, and are not run again by it.
    node.until("the new ones are dead", async || (causes(&node).await[0].count == 260).then_some(())).await;
    assert_eq!(node.stage.runs.load(SeqCst) - before, 130);
    let other = json!({"id": id, "action": "cancel", "filter": {"state": ["available"]}});
    assert_eq!(bulk(&node, other).await.unwrap_err(), Refusal::OtherBulk(id));
    let unknown = Uuid::now_v7();
    let stopped = node.handles.gateway.ask(StopBulk { id: unknown }).await.unwrap();
    assert_eq!(stopped.unwrap_err(), Refusal::NoSuchBulk(unknown));
    node.stop().await;
}

#[tokio::test]
async fn a_bulk_operation_edits_what_fits_waits_for_room_and_can_be_stopped() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        soon(config);
        config.queues[0].max_backlog = 10;
    })
    .await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.extend(dead(&node, 5).await);
    }
    let wrong = json!({"action": "retry", "filter": {"state": ["discarded"]}, "patch": {"fatal": 17}});
    let done = ended(&node, begun(&node, wrong).await.id).await;
    assert_eq!(done.outcomes, BTreeMap::from([(BulkOutcome::Invalid, 15)]));
    assert!(done.problems[0].message.contains("/payload/fatal"), "{:?}", done.problems[0]);

    let pause = |paused| PauseQueue { queue: "default".to_owned(), paused, reason: None };
    node.handles.gateway.ask(pause(true)).await.unwrap().unwrap();
    let right = json!({"action": "retry", "filter": {"state": ["discarded"]}, "patch": {"fatal": false}});
    let id = begun(&node, right.clone()).await.id;
    // A tenth of the room is left to others.
    let full = node.until("there is no room", async || {
        let view = view(&node, id).await;
        view.waits_for.is_some().then_some(view)
    });
    let full = full.await;
    assert_eq!((full.state, full.dealt_with), (BulkState::Running, 9));
    node.submit(json!({"type": "noop"})).await.unwrap();
    let stopped = node.handles.gateway.ask(StopBulk { id }).await.unwrap().unwrap();
    assert_eq!((stopped.state, stopped.dealt_with, stopped.waits_for), (BulkState::Stopped, 9, None));
    // What waits is called off, and then there is room for all.
    let cancel = json!({"action": "cancel", "filter": {"state": ["available"]}});
    let done = ended(&node, begun(&node, cancel).await.id).await;
    assert_eq!(done.outcomes, BTreeMap::from([(BulkOutcome::Cancelled, 10)]));
    let id = begun(&node, right).await.id;
    node.until("there is no room", async || view(&node, id).await.waits_for).await;
    node.handles.gateway.ask(pause(false)).await.unwrap().unwrap();
    let done = ended(&node, id).await;
    assert_eq!(done.outcomes, BTreeMap::from([(BulkOutcome::Replayed, 15)]));
    // The oldest one was not reached the first time.
    let edits = node.job(ids[0]).await.edits;
    assert_eq!(edits.len(), 1);
    assert_eq!(edits[0].patch, json!({"fatal": false}).as_object().cloned());
    node.stop().await;
}
