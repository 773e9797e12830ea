//! Queues whose jobs crash too often.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use callboard_actors::{
    edges::store::record::QueueSettings,
    roles::{
        Condition, QueueSupervision, RolesConfig,
        request::{GetAudit, GetQueues, PauseQueue, Refusal, Signed, Who},
    },
};
use callboard_contracts::{
    JobState,
    api::{ErrorKind, PauseCause, QueueView},
};
use callboard_supervisors::ActorHandle;
use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::{Folder, Node};

fn rules(pause_after_crashes: u32) -> QueueSupervision {
    QueueSupervision { pause_after_crashes, ..QueueSupervision::default() }
}

/// What is wanted of a node with the queues `default` and `mail`, the latter with these rules.
fn config(config: &mut RolesConfig, of_mail: QueueSupervision) {
    let mail = QueueSettings { name: "mail".to_owned(), concurrency: 5, max_backlog: 1000 };
    config.queues.push(mail);
    config.supervision.insert("mail".to_owned(), of_mail);
}

async fn with(folder: &Folder, of_mail: QueueSupervision) -> Node {
    Node::configured(folder, |settings| config(settings, of_mail)).await
}

/// A job of the queue `mail` that panics in its first attempts.
fn flaky(panics: u32) -> Value {
    json!({"type": "flaky", "queue": "mail", "max_attempts": 100, "payload": {"number": 7, "panics": panics}})
}

async fn mail(node: &Node) -> QueueView {
    let queues = node.handles.read_model.ask(GetQueues).await.unwrap().unwrap();
    queues.into_iter().find(|queue| queue.name == "mail").unwrap()
}

async fn is_paused(node: &Node) -> QueueView {
    let paused = async || Some(mail(node).await).filter(|queue| queue.paused_at.is_some());
    node.until("the queue is paused", paused).await
}

/// Waits until the node knows how often the queue was let go on: from then on it counts crashes.
async fn counts(node: &Node) {
    let known = async || {
        node.handles
            .metrics
            .render()
            .contains("callboard_queue_paused{cause=\"requested\",queue=\"mail\"}")
            .then_some(())
    };
    node.until("the node has looked at the queues", known).await;
}

async fn ask(node: &Node, paused: bool, reason: Option<&str>) -> Result<(), Refusal> {
    let request = PauseQueue { queue: "mail".to_owned(), paused, reason: reason.map(str::to_owned) };
    let who = Who { name: "ci".to_owned(), role: Some("operator".to_owned()) };
    node.handles.gateway.ask(Signed { who, request }).await.unwrap()
}

/// Of each entry of the audit trail on the queue, newest first, who it was and what.
async fn trail(node: &Node) -> Vec<(String, String)> {
    let page = node.handles.read_model.ask(GetAudit { before: None, limit: 100 }).await.unwrap().unwrap();
    page.entries.into_iter().map(|entry| (entry.by, entry.action)).collect()
}

/// The actor of the job's running attempt.
fn attempt(node: &Node, id: Uuid) -> Option<ActorHandle> {
    (1..50).find_map(|token| node.actor(&format!("queues/queue-mail/jobs/{id}#{token}")))
}

#[tokio::test]
async fn a_queue_whose_jobs_panic_is_paused_and_says_why_and_the_others_go_on() {
    let folder = Folder::new();
    let node = with(&folder, rules(3)).await;
    counts(&node).await;
    let id = node.submit(flaky(5)).await.unwrap().id;
    let queue = is_paused(&node).await;
    let pause = queue.pause.unwrap();
    assert_eq!((pause.cause, &*pause.by), (PauseCause::JobCrashes, "node test"));
    let crashes = pause.crashes.unwrap();
    assert_eq!((&*crashes.node, crashes.count, crashes.within_ms), ("test", 3, 60_000));
    let last = crashes.last;
    assert_eq!((last.job, last.job_type.as_deref(), last.attempt), (Some(id), Some("flaky"), Some(3)));
    assert_eq!((last.kind, &*last.message), (Some(ErrorKind::Panicked), "number 7 in attempt 3"));
    let reason = pause.reason.unwrap();
    assert!(
        reason.starts_with("3 attempts crashed within 60s on node \"test\"; the last one: job "),
        "{reason}"
    );
    assert!(reason.ends_with("(flaky): number 7 in attempt 3"), "{reason}");
    assert_eq!(trail(&node).await, [("node test".to_owned(), "queue.pause".to_owned())]);
    // It is shown, and the node is as ready as before.
    let told = async || {
        let metrics = node.handles.metrics.render();
        let tripped = metrics.contains("callboard_queue_paused{cause=\"job_crashes\",queue=\"mail\"} 1");
        let condition = node.conditions.get("queues/queue-mail");
        let said = matches!(condition, Some(Condition::Paused { reason, .. }) if reason == "3 attempts crashed within 60s on node \"test\"");
        (tripped && said).then_some(())
    };
    node.until("it is told", told).await;
    assert_eq!(node.conditions.overall(), "ready");
    assert!(node.conditions.reasons().iter().any(|reason| reason.actor == "queues/queue-mail"));
    // The other queue works, and this one does nothing.
    let other = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(other, JobState::Completed).await;
    assert_eq!(node.job(id).await.attempts.len(), 3);
    // Somebody lets it go on: the count begins anew, and two more crashes are fewer than three.
    ask(&node, false, None).await.unwrap();
    node.reaches(id, JobState::Completed).await;
    let queue = mail(&node).await;
    assert_eq!((queue.paused_at, queue.pause), (None, None));
    let cleared = async || {
        let condition = node.conditions.get("queues/queue-mail");
        let metrics = node.handles.metrics.render();
        (condition.is_none()
            && metrics.contains("callboard_queue_paused{cause=\"job_crashes\",queue=\"mail\"} 0"))
        .then_some(())
    };
    node.until("nothing is said of it any more", cleared).await;
    let newest = trail(&node).await.remove(0);
    assert_eq!(newest, ("ci".to_owned(), "queue.resume".to_owned()));
    node.stop().await;
}

#[tokio::test]
async fn an_error_is_no_crash_and_neither_is_what_somebody_cancels() {
    let folder = Folder::new();
    let node = with(&folder, rules(1)).await;
    counts(&node).await;
    let failing = json!({"type": "fail", "queue": "mail", "payload": {"fatal": true}});
    let failed = node.submit_all(vec![failing; 5]).await;
    for id in failed {
        node.reaches(id, JobState::Discarded).await;
    }
    let slow = json!({"type": "hold", "queue": "mail", "timeout_ms": 20, "max_attempts": 1, "payload": {}});
    let id = node.submit(slow.clone()).await.unwrap().id;
    let ended = node.reaches(id, JobState::Discarded).await;
    assert_eq!(ended.attempts[0].error.as_ref().map(|error| error.kind), Some(ErrorKind::TimedOut));
    assert_eq!(mail(&node).await.paused_at, None);
    // What takes too long is one if that is wanted, from now on.
    let mut changed = RolesConfig { node: "test".to_owned(), ..RolesConfig::default() };
    config(&mut changed, QueueSupervision { crash_kinds: vec![ErrorKind::TimedOut], ..rules(1) });
    assert!(node.handles.retune(&changed).await.unwrap().is_empty());
    node.submit(slow).await.unwrap();
    let pause = is_paused(&node).await.pause.unwrap();
    assert_eq!(pause.crashes.unwrap().last.kind, Some(ErrorKind::TimedOut));
    assert!(pause.reason.unwrap().starts_with("1 attempt crashed within"));
    node.stop().await;
}

#[tokio::test]
async fn the_number_can_change_while_jobs_crash_and_0_is_never() {
    let folder = Folder::new();
    let node = with(&folder, rules(0)).await;
    counts(&node).await;
    let id = node.submit(flaky(40)).await.unwrap().id;
    node.reaches(id, JobState::Completed).await;
    assert_eq!(mail(&node).await.paused_at, None);
    let mut changed = RolesConfig { node: "test".to_owned(), ..RolesConfig::default() };
    config(&mut changed, rules(4));
    assert!(node.handles.retune(&changed).await.unwrap().is_empty());
    let id = node.submit(flaky(40)).await.unwrap().id;
    assert_eq!(is_paused(&node).await.pause.unwrap().crashes.unwrap().count, 4);
    assert_eq!(node.job(id).await.attempts.len(), 4);
    // What cannot be is refused, and what holds stays.
    let mut wrong = changed.clone();
    wrong
        .supervision
        .insert("mail".to_owned(), QueueSupervision { crash_period: Duration::ZERO, ..rules(9) });
    assert!(node.handles.retune(&wrong).await.is_err());
    node.stop().await;
}

#[tokio::test]
async fn a_pause_waits_for_a_store_that_is_away_and_an_outage_makes_none() {
    let folder = Folder::new();
    let node = with(&folder, rules(2)).await;
    counts(&node).await;
    let hold = json!({"type": "hold", "queue": "mail", "payload": {}});
    let ids = node.submit_all(vec![hold; 3]).await;
    node.begun(3).await;
    node.trouble.outage.store(true, SeqCst);
    let degraded = async || (node.conditions.overall() == "degraded").then_some(());
    node.until("the store is away", degraded).await;
    assert!(
        node.conditions.get("observers/crash-guard").is_none_or(|condition| condition == Condition::Ready)
    );
    for id in &ids[..2] {
        attempt(&node, *id).expect("it runs").kill();
    }
    let waits = async || match node.conditions.get("observers/crash-guard") {
        Some(Condition::Degraded(why)) => Some(why),
        _ => None,
    };
    let why = node.until("the pause waits", waits).await;
    assert!(why.starts_with("queue \"mail\" is to be paused: "), "{why}");
    node.trouble.outage.store(false, SeqCst);
    let pause = is_paused(&node).await.pause.unwrap();
    let crashes = pause.crashes.unwrap();
    assert_eq!((crashes.count, crashes.last.kind), (2, Some(ErrorKind::Lost)));
    let settled = async || (node.conditions.overall() == "ready").then_some(());
    node.until("all is well again", settled).await;
    // What runs goes on, and crashes no second time.
    attempt(&node, ids[2]).expect("it runs").kill();
    ask(&node, false, None).await.unwrap();
    node.stage.gate.add_permits(3);
    for id in ids {
        node.reaches(id, JobState::Completed).await;
    }
    assert_eq!(mail(&node).await.paused_at, None);
    assert_eq!(trail(&node).await.len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_queue_that_was_paused_stays_so_over_a_restart_and_comes_back_when_it_is_let_go_on() {
    let folder = Folder::new();
    let node = with(&folder, rules(2)).await;
    counts(&node).await;
    let id = node.submit(flaky(3)).await.unwrap().id;
    let before = is_paused(&node).await;
    node.crash().await;
    let node = with(&folder, rules(2)).await;
    counts(&node).await;
    let after = mail(&node).await;
    assert_eq!((after.paused_at, after.pause), (before.paused_at, before.pause));
    // Another who wants it paused, for another reason, changes nothing.
    ask(&node, true, Some("because")).await.unwrap();
    assert_eq!(mail(&node).await.pause.unwrap().cause, PauseCause::JobCrashes);
    for _ in 0..2 {
        ask(&node, false, None).await.unwrap();
    }
    node.reaches(id, JobState::Completed).await;
    // And by hand, with a reason.
    ask(&node, true, Some("  the server moves ")).await.unwrap();
    let pause = mail(&node).await.pause.unwrap();
    assert_eq!((pause.cause, &*pause.by), (PauseCause::Requested, "ci"));
    assert_eq!((pause.reason.as_deref(), pause.crashes), (Some("the server moves"), None));
    for wrong in [ask(&node, true, Some(&"x".repeat(501))), ask(&node, false, Some("x"))] {
        assert!(matches!(wrong.await, Err(Refusal::Invalid(errors)) if errors[0].pointer == "/reason"));
    }
    node.stop().await;
}

#[tokio::test]
async fn what_crashes_after_somebody_has_let_the_queue_go_on_counts_alone() {
    let folder = Folder::new();
    let node = with(&folder, rules(3)).await;
    counts(&node).await;
    let hold = json!({"type": "hold", "queue": "mail", "payload": {}});
    let ids = node.submit_all(vec![hold; 4]).await;
    node.begun(4).await;
    for (number, id) in ids[..2].iter().enumerate() {
        attempt(&node, *id).expect("it runs").kill();
        node.begun(5 + number as u64).await;
    }
    // Nobody has paused it, and somebody lets it go on all the same.
    ask(&node, false, None).await.unwrap();
    let others = &ids[2..];
    for (number, id) in others.iter().enumerate() {
        attempt(&node, *id).expect("it runs").kill();
        node.begun(7 + number as u64).await;
    }
    let stays = mail(&node).await;
    assert_eq!(stays.paused_at, None, "{:?}", stays.pause);
    node.stage.gate.add_permits(4);
    for id in ids {
        node.reaches(id, JobState::Completed).await;
    }
    assert_eq!((mail(&node).await.paused_at, trail(&node).await.len()), (None, 1));
    node.stop().await;
}
