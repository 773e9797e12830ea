//! What the gateway takes in, and what it refuses.

use std::time::Duration;

use callboard_actors::{
    edges::store::record::QueueSettings,
    roles::{
        RolesConfig, UnknownTypes,
        bounds::{PayloadLimit, TypeBounds},
        request::{Form, Origin, PrepareJob, Refusal, RetryJob},
    },
};
use callboard_contracts::JobState;
use serde_json::{Value, json};
use uuid::Uuid;

use super::harness::{Folder, Node};

fn pointers(refusal: Refusal) -> Vec<String> {
    match refusal {
        Refusal::Invalid(errors) => errors.into_iter().map(|error| error.pointer).collect(),
        other => panic!("{other:?}"),
    }
}

fn contract(job_type: &str) -> Value {
    json!({
        "id": Uuid::now_v7(), "type": job_type, "status": "PENDING", "createdAt": "2026-03-01T12:00:00Z",
    })
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place_and_nothing_is_stored() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.max_payload = 1000).await;
    let long = "x".repeat(2000);
    for (job, place) in [
        (json!(null), ""),
        (json!([]), ""),
        (json!({}), ""),
        (json!({"type": 1}), "/type"),
        (json!({"type": "a b"}), "/type"),
        (json!({"type": "noop", "paylaod": {}}), ""),
        (json!({"type": "noop", "payload": []}), "/payload"),
        (json!({"type": "noop", "payload": {"x": 1}}), "/payload"),
        (json!({"type": "sleep", "payload": {"ms": -1}}), "/payload/ms"),
        (json!({"type": "noop", "id": "x"}), "/id"),
        (json!({"type": "noop", "queue": "nowhere"}), "/queue"),
        (json!({"type": "noop", "queue": "ä"}), "/queue"),
        (json!({"type": "noop", "max_attempts": 0}), "/max_attempts"),
        (json!({"type": "noop", "max_attempts": 1001}), "/max_attempts"),
        (json!({"type": "noop", "timeout_ms": 0}), "/timeout_ms"),
        (json!({"type": "noop", "metadata": 1}), "/metadata"),
    ] {
        let refusal = node.submit(job.clone()).await.unwrap_err();
        let found = pointers(refusal.clone());
        assert!(
            found.iter().all(|found| found.starts_with(place)) && !found.is_empty(),
            "{job}: {refusal:?}"
        );
    }
    let refusal = node.submit(json!({"type": "echo", "payload": {"text": long}})).await.unwrap_err();
    assert!(
        matches!(refusal, Refusal::TooLarge { size: 2011, limit: 1000, of: PayloadLimit::Server }),
        "{refusal:?}"
    );
    let refusal = node.submit(json!({"type": "unheard-of"})).await.unwrap_err();
    assert!(matches!(&refusal, Refusal::UnknownType { known, .. } if known.contains(&"noop".to_owned())));
    assert_eq!(node.handles.read_model.ask(all_jobs()).await.unwrap().unwrap().jobs.len(), 0);
    node.stop().await;
}

fn all_jobs() -> callboard_actors::roles::request::ListJobs {
    callboard_actors::roles::request::ListJobs { filter: Default::default(), limit: 100 }
}

#[tokio::test]
async fn of_many_jobs_each_is_accepted_or_refused_by_itself() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let jobs = vec![json!({"type": "noop"}), json!({"type": "noop", "x": 1}), json!({"type": "noop"})];
    let answers = node.answers(Form::Api, jobs).await;
    assert_eq!(answers.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    for submitted in answers.into_iter().flatten() {
        node.reaches(submitted.id, JobState::Completed).await;
    }
    node.stop().await;
}

#[tokio::test]
async fn the_same_job_again_changes_nothing_and_another_one_under_its_id_is_a_conflict() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let id = Uuid::now_v7();
    let job = json!({"type": "echo", "id": id, "payload": {"text": "a"}, "metadata": {"x": 1, "y": 2}});
    let first = node.submit(job).await.unwrap();
    node.reaches(id, JobState::Completed).await;
    let again = json!({"metadata": {"y": 2, "x": 1}, "payload": {"text": "a"}, "id": id, "type": "echo"});
    let second = node.submit(again).await.unwrap();
    assert!(second.duplicate);
    assert_eq!((second.event_id, second.state), (first.event_id, JobState::Completed));
    let other = json!({"type": "echo", "id": id, "payload": {"text": "b"}, "metadata": {"x": 1, "y": 2}});
    assert_eq!(node.submit(other).await, Err(Refusal::Conflict(id)));
    // Also within one request.
    let twin = json!({"type": "noop", "id": Uuid::now_v7()});
    let twins = node.answers(Form::Api, vec![twin.clone(), twin]).await;
    assert_eq!(twins.into_iter().map(|twin| twin.unwrap().duplicate).collect::<Vec<_>>(), [false, true]);
    assert_eq!(node.stage.order.lock().unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_full_backlog_refuses_more_and_says_when_to_try_again() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        config.queues[0].concurrency = 1;
        config.queues[0].max_backlog = 3;
    })
    .await;
    let running = node.submit(json!({"type": "hold", "payload": {}})).await.unwrap().id;
    node.begun(1).await;
    let answers = node.answers(Form::Api, vec![json!({"type": "hold", "payload": {}}); 6]).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    assert!((2..=3).contains(&refused.len()), "{answers:?}");
    for refusal in refused {
        let Refusal::BacklogFull { queue, limit, retry_after, .. } = refusal else { panic!("{refusal:?}") };
        assert_eq!((&**queue, *limit), ("default", 3));
        assert!((Duration::from_secs(1)..=Duration::from_secs(600)).contains(retry_after));
    }
    node.stage.gate.add_permits(10);
    node.reaches(running, JobState::Completed).await;
    for submitted in answers.into_iter().flatten() {
        node.reaches(submitted.id, JobState::Completed).await;
    }
    node.submit(json!({"type": "noop"})).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn the_smallest_limit_of_payloads_holds_on_every_way_in() {
    let folder = Folder::new();
    let limited = |config: &mut RolesConfig| {
        config.max_payload = 1000;
        let mail = QueueSettings { name: "mail".to_owned(), ..config.queues[0].clone() };
        config.queues.push(mail);
        config.queue_payloads.insert("mail".to_owned(), 200);
        config
            .job_types
            .insert("echo".to_owned(), TypeBounds { max_payload: Some(300), ..TypeBounds::default() });
        config
            .job_types
            .insert("unheard-of".to_owned(), TypeBounds { max_payload: Some(400), ..TypeBounds::default() });
    };
    let node = Node::configured(&folder, limited).await;
    let echo = |bytes: usize| json!({"type": "echo", "payload": {"text": "x".repeat(bytes - 11)}});
    let large = |job: Value| async { node.submit(job).await.unwrap_err() };
    let of_type =
        |size, limit| Refusal::TooLarge { size, limit, of: PayloadLimit::JobType("echo".to_owned()) };
    assert_eq!(large(echo(301)).await, of_type(301, 300));
    let of_queue = PayloadLimit::Queue("mail".to_owned());
    let mut mail = echo(201);
    mail["queue"] = json!("mail");
    let refusal = large(mail).await;
    assert_eq!(refusal, Refusal::TooLarge { size: 201, limit: 200, of: of_queue });
    assert_eq!(refusal.to_string(), "the payload has 201 bytes; 200 are allowed in queue \"mail\"");
    // A type without a handler has its limit, too.
    let mut held = contract("unheard-of");
    held["payload"] = json!({"text": "x".repeat(400)});
    let refusal = node.answers(Form::Contract, vec![held]).await.remove(0).unwrap_err();
    assert!(matches!(&refusal, Refusal::TooLarge { limit: 400, .. }), "{refusal:?}");
    // Whoever stores it himself has it checked as well.
    let prepare = PrepareJob { job: echo(301), origin: Origin::here() };
    assert_eq!(node.handles.gateway.ask(prepare).await.unwrap().unwrap_err(), of_type(301, 300));
    let fits = node.submit(echo(300)).await.unwrap().id;
    node.reaches(fits, JobState::Completed).await;
    node.stop().await;
    // What was taken in under a larger limit is not run again under a smaller one.
    let smaller = |config: &mut RolesConfig| {
        config
            .job_types
            .insert("echo".to_owned(), TypeBounds { max_payload: Some(299), ..TypeBounds::default() });
    };
    let node = Node::configured(&folder, smaller).await;
    let again = node.handles.gateway.ask(RetryJob { id: fits }).await.unwrap();
    assert_eq!(again.unwrap_err(), of_type(300, 299));
    node.stop().await;
}

#[tokio::test]
async fn a_full_store_refuses_more_in_every_queue_and_says_when_to_try_again() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        config.queues[0].concurrency = 1;
        let other = QueueSettings { name: "other".to_owned(), ..config.queues[0].clone() };
        config.queues.push(other);
        config.max_backlog = 2;
    })
    .await;
    let done = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(done, JobState::Completed).await;
    let later = |queue: &str| json!({"type": "noop", "queue": queue, "scheduled_at": "2200-01-01T00:00:00Z"});
    node.submit(later("default")).await.unwrap();
    node.submit(later("other")).await.unwrap();
    let again = node.handles.gateway.ask(RetryJob { id: done }).await.unwrap().map(drop);
    for refused in [node.submit(later("other")).await.map(drop), again] {
        let Err(Refusal::StoreFull { waiting: 2, limit: 2, retry_after }) = refused else {
            panic!("{refused:?}")
        };
        assert!((Duration::from_secs(1)..=Duration::from_secs(600)).contains(&retry_after));
    }
    node.stop().await;
}

#[tokio::test]
async fn contract_jobs_are_checked_by_their_schema_and_keep_what_they_bring() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let mut job = contract("echo");
    job["payload"] = json!({"text": "a"});
    job["metadata"] = json!({"from": "there"});
    job["beyond"] = json!({"the": "contract"});
    let id: Uuid = job["id"].as_str().unwrap().parse().unwrap();
    let accepted = node.answers(Form::Contract, vec![job.clone()]).await.remove(0).unwrap();
    assert_eq!(accepted.id, id);
    node.reaches(id, JobState::Completed).await;
    let again = node.answers(Form::Contract, vec![job]).await.remove(0).unwrap();
    assert!(again.duplicate && again.event_id == accepted.event_id);

    let bad = json!({"id": "x", "type": "a b", "status": "NEW", "payload": []});
    let found = pointers(node.answers(Form::Contract, vec![bad]).await.remove(0).unwrap_err());
    for place in ["", "/id", "/type", "/status", "/payload"] {
        assert!(found.iter().any(|found| found == place), "{place:?} in {found:?}");
    }
    let mut never = contract("noop");
    never["createdAt"] = json!("2026-02-30T12:00:00Z");
    let found = pointers(node.answers(Form::Contract, vec![never]).await.remove(0).unwrap_err());
    assert_eq!(found, ["/createdAt"]);
    node.stop().await;
}

#[tokio::test]
async fn a_contract_job_that_nobody_handles_waits_until_somebody_does() {
    let folder = Folder::new();
    let node = Node::with_types(&folder, |builder| builder).await;
    let job = contract("noop");
    let held = node.answers(Form::Contract, vec![job]).await.remove(0).unwrap();
    let job = node.reaches(held.id, JobState::Pending).await;
    assert!(job.summary.wait_reason.unwrap().contains("no handler"));
    node.stop().await;

    let node = Node::start(&folder).await;
    node.reaches(held.id, JobState::Completed).await;
    node.stop().await;

    let node = Node::configured(&folder, |config| config.unknown_types = UnknownTypes::Refuse).await;
    let refusal = node.answers(Form::Contract, vec![contract("unheard-of")]).await.remove(0).unwrap_err();
    assert!(matches!(refusal, Refusal::UnknownType { .. }));
    node.stop().await;
}
