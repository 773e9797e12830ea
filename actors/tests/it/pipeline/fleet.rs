//! One node among others.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

use callboard_actors::{
    edges::store::{
        Operation, Outcome, Wake,
        record::{MIN_READER, QueueSettings, READER},
    },
    roles::{
        ActorOrder, Condition, Host,
        request::{
            GetAudit, GetNodes, GetQueues, LabelQueue, ListCommands, Order, PauseQueue, Refusal, Signed, Who,
        },
    },
};
use callboard_contracts::{
    JobState,
    api::{CommandState, CommandView, NodeAction, NodeState, NodeView, OrderNode},
};
use futures_util::{FutureExt, future::BoxFuture};
use serde_json::json;
use tokio::sync::Notify;

use super::harness::{Folder, Node};

#[tokio::test]
async fn only_the_node_that_leads_does_what_is_done_once_for_all() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        config.heartbeat = Duration::from_millis(10);
        config.schedule_poll = Duration::from_millis(10);
    })
    .await;
    let says = async |condition: Condition| {
        for role in ["leader", "scheduler", "pruner", "rescuer", "cron"] {
            let path = format!("observers/{role}");
            node.until(&format!("{path} is {condition}"), async || {
                (node.conditions.get(&path) == Some(condition.clone())).then_some(())
            })
            .await;
        }
    };
    says(Condition::Ready).await;
    // Refused first, told by the leader role soon after: whichever comes first, the roles stand by.
    node.trouble.led_by_another.store(true, SeqCst);
    node.until("it stands by", async || {
        let scheduler = node.conditions.get("observers/scheduler");
        (scheduler == Some(Condition::Standby)).then_some(())
    })
    .await;
    assert_eq!(node.conditions.overall(), "ready");
    let id = node.submit(json!({"type": "flaky", "payload": {"number": 1, "panics": 1}})).await.unwrap().id;
    node.reaches(id, JobState::Retryable).await;
    node.trouble.led_by_another.store(false, SeqCst);
    node.reaches(id, JobState::Completed).await;
    says(Condition::Ready).await;
    node.stop().await;
}

#[tokio::test]
async fn what_another_node_cancels_ends_whether_or_not_its_word_arrives() {
    let folder = Folder::new();
    for told in [true, false] {
        let heartbeat = if told { Duration::from_secs(3600) } else { Duration::from_millis(10) };
        let node = Node::configured(&folder, |config| {
            config.heartbeat = heartbeat;
            config.session_ttl = Duration::from_secs(2 * 3600);
        })
        .await;
        let id = node.submit(json!({"type": "hold", "payload": {"stubborn": false}})).await.unwrap().id;
        node.begun(1).await;
        // Written, and told to nobody here.
        let outcome = node.store.write(Operation::Cancel { id }).await.unwrap();
        let Outcome::CancelRequested { lease, queue, session } = outcome else { panic!("{outcome:?}") };
        if told {
            node.trouble.wakes.send(Wake::Cancel { lease, queue, session }).unwrap();
        }
        node.reaches(id, JobState::Cancelled).await;
        node.stop().await;
    }
}

#[tokio::test]
async fn jobs_that_another_node_makes_available_are_claimed_at_once() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.claim_poll = Duration::from_secs(3600)).await;
    // So that the producer has looked already, and found no more.
    let first = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(first, JobState::Completed).await;
    for wake in [Wake::Available("default".to_owned()), Wake::Everything] {
        let found = node.store.job(first).await.unwrap().unwrap().job;
        let replay = Operation::Retry {
            id: found.id,
            replay_id: uuid::Uuid::now_v7(),
            event_id: uuid::Uuid::now_v7(),
            max_backlog: 10,
            max_total: 10,
        };
        // Written, and told to nobody here.
        let outcome = node.store.write(replay).await.unwrap();
        let Outcome::Replayed { id, .. } = outcome else { panic!("{outcome:?}") };
        node.trouble.wakes.send(wake).unwrap();
        node.reaches(id, JobState::Completed).await;
    }
    node.stop().await;
}

/// Tells the only node something, and waits until it has said what came of it.
async fn told(node: &Node, action: NodeAction) -> CommandView {
    let order = Order { node: "test".to_owned(), order: OrderNode { action, valid_for_ms: None } };
    node.until("its session is open", async || {
        let nodes = node.handles.read_model.ask(GetNodes).await.unwrap().unwrap();
        (!nodes.is_empty()).then_some(())
    })
    .await;
    let command = node.handles.gateway.ask(order).await.unwrap().unwrap();
    let ended = node.until("the node says what came of it", async || {
        let found = ListCommands { id: Some(command.id), limit: 1 };
        let found = node.handles.read_model.ask(found).await.unwrap().unwrap().remove(0);
        (found.state != CommandState::Waiting).then_some(found)
    });
    ended.await
}

async fn the_node(node: &Node) -> NodeView {
    let nodes = node.handles.read_model.ask(GetNodes).await.unwrap().unwrap();
    assert_eq!(nodes.len(), 1, "{nodes:?}");
    nodes.into_iter().next().unwrap()
}

async fn trail(node: &Node) -> Vec<(String, String, String)> {
    let page = node.handles.read_model.ask(GetAudit { before: None, limit: 100 }).await.unwrap().unwrap();
    page.entries.into_iter().map(|entry| (entry.by, entry.action, entry.outcome)).collect()
}

#[tokio::test]
async fn a_node_pauses_and_goes_on_when_it_is_told_and_that_is_kept() {
    let folder = Folder::new();
    // Whoever waits for the next look waits for ever: each word is heard at once.
    let node = Node::configured(&folder, |config| {
        config.claim_poll = Duration::from_secs(3600);
        config.heartbeat = Duration::from_secs(1000);
        config.session_ttl = Duration::from_secs(3600);
    })
    .await;
    let first = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(first, JobState::Completed).await;
    let view = the_node(&node).await;
    assert_eq!((&*view.name, view.state, view.leads), ("test", NodeState::Ready, true));
    assert_eq!(view.roles, ["gateway", "processor", "read-model", "leader"]);
    assert_eq!((view.capacity, view.queues.len()), (50, 1));
    let paused = told(&node, NodeAction::Pause).await;
    assert_eq!(
        (paused.state, paused.outcome.as_deref()),
        (CommandState::Done, Some("it claims no more jobs"))
    );
    assert_eq!(the_node(&node).await.state, NodeState::Paused);
    let waits = node.submit(json!({"type": "noop"})).await.unwrap().id;
    let job = node.job(waits).await;
    assert_eq!(job.summary.state, JobState::Available);
    assert!(job.waits_for.unwrap().contains("paused"), "it says why it waits");
    assert_eq!(told(&node, NodeAction::Resume).await.state, CommandState::Done);
    node.reaches(waits, JobState::Completed).await;
    // Without a process around it, some things are nobody's.
    let level = told(&node, NodeAction::LogLevel { level: "debug".to_owned() }).await;
    assert_eq!(level.state, CommandState::Failed);
    let nobody = Order {
        node: "nobody".to_owned(),
        order: OrderNode { action: NodeAction::Pause, valid_for_ms: None },
    };
    let refused = node.handles.gateway.ask(nobody).await.unwrap();
    assert_eq!(refused.unwrap_err(), Refusal::NoSuchNode("nobody".to_owned()));
    let who = Who { name: "ci".to_owned(), role: Some("operator".to_owned()) };
    let pause =
        Signed { who, request: PauseQueue { queue: "default".to_owned(), paused: true, reason: None } };
    node.handles.gateway.ask(pause).await.unwrap().unwrap();
    let trail = trail(&node).await;
    let entry =
        |by: &str, action: &str, outcome: &str| (by.to_owned(), action.to_owned(), outcome.to_owned());
    assert_eq!(trail[0], entry("ci", "queue.pause", "done"));
    assert!(trail.contains(&entry("node test", "node.pause", "ordered")), "{trail:?}");
    assert!(
        trail.contains(&entry("node test", "node.pause.end", "done: it claims no more jobs")),
        "{trail:?}"
    );
    node.stop().await;
}

#[derive(Clone)]
struct TestHost(Arc<Notify>);

impl Host for TestHost {
    fn order_actor(&self, path: &str, _: ActorOrder) -> Result<(), String> {
        if path == "observers/metrics" { Ok(()) } else { Err(format!("there is no actor {path:?}")) }
    }

    fn leave(&self) {
        self.0.notify_one();
    }

    fn check_settings(&self, keys: &[&str]) -> Result<(), String> {
        match keys.iter().find(|key| **key == "store.url") {
            Some(key) => Err(format!("{key} needs a restart")),
            None => Ok(()),
        }
    }

    fn change_settings(
        &self,
        settings: BTreeMap<String, Option<String>>,
        who: Who,
    ) -> BoxFuture<'static, Result<String, String>> {
        let answer = match settings.get("log.level").cloned().flatten() {
            Some(level) => Err(format!("{level} is no level")),
            None => Ok(format!("{settings:?} by {}", who.name)),
        };
        async move { answer }.boxed()
    }
}

#[tokio::test]
async fn what_only_the_process_can_do_is_left_to_it() {
    let folder = Folder::new();
    let node = Node::start(&folder).await;
    let host = TestHost(Arc::default());
    node.handles.set_host(host.clone());
    let restart = |actor: &str| NodeAction::RestartActor { actor: actor.to_owned() };
    let outcome = |command: CommandView| (command.state, command.outcome.unwrap());
    let done = outcome(told(&node, restart("observers/metrics")).await);
    assert_eq!(done, (CommandState::Done, "observers/metrics is restarted".to_owned()));
    let failed = outcome(told(&node, restart("nowhere")).await);
    assert_eq!(failed, (CommandState::Failed, "there is no actor \"nowhere\"".to_owned()));
    // What carries commands out can be told to restart itself, and is told so once.
    assert_eq!(
        outcome(told(&node, restart("observers")).await),
        (CommandState::Done, "under way".to_owned())
    );
    assert_eq!(outcome(told(&node, NodeAction::Drain).await), (CommandState::Done, "under way".to_owned()));
    host.0.notified().await;
    let level = told(&node, NodeAction::LogLevel { level: "loud".to_owned() }).await;
    assert_eq!(outcome(level), (CommandState::Failed, "loud is no level".to_owned()));
    let set =
        |key: &str| NodeAction::Set { settings: BTreeMap::from([(key.to_owned(), Some("5".to_owned()))]) };
    assert_eq!(
        outcome(told(&node, set("retention.batch")).await),
        (CommandState::Done, "{\"retention.batch\": Some(\"5\")} by node test".to_owned())
    );
    // What may hold a secret is not even kept as a command.
    let order = OrderNode { action: set("store.url"), valid_for_ms: None };
    let refused = node.handles.gateway.ask(Order { node: "test".to_owned(), order }).await.unwrap();
    assert!(refused.unwrap_err().to_string().contains("store.url needs a restart"));
    assert!(trail(&node).await.contains(&(
        "node test".to_owned(),
        "node.set.end".to_owned(),
        "done: {\"retention.batch\": Some(\"5\")} by node test".to_owned()
    )));
    node.stop().await;
}

#[tokio::test]
async fn a_program_that_the_store_has_outgrown_claims_nothing_and_says_why() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| config.heartbeat = Duration::from_millis(10)).await;
    let first = node.submit(json!({"type": "noop"})).await.unwrap().id;
    node.reaches(first, JobState::Completed).await;
    let needs = |reader: u32| Operation::PutSetting { key: MIN_READER.to_owned(), value: reader.to_string() };
    node.store.write(needs(READER + 6)).await.unwrap();
    let reason = node.until("it is not ready", async || {
        let reasons = node.conditions.reasons();
        reasons.into_iter().find(|reason| reason.actor == "observers/commands")
    });
    let reason = reason.await.reason;
    assert!(reason.contains("reader 7 is needed, and this is 1"), "{reason}");
    assert_eq!(the_node(&node).await.state, NodeState::TooOld);
    let waits = node.submit(json!({"type": "noop"})).await.unwrap().id;
    assert_eq!(node.job(waits).await.summary.state, JobState::Available);
    // What a newer program has taken back it does again, without a restart.
    node.store.write(needs(0)).await.unwrap();
    node.reaches(waits, JobState::Completed).await;
    node.until("it is ready", async || (node.conditions.overall() == "ready").then_some(())).await;
    node.stop().await;
}

#[tokio::test]
async fn a_job_whose_labels_nobody_has_waits_and_says_so() {
    let folder = Folder::new();
    let node = Node::configured(&folder, |config| {
        let gpu = QueueSettings { name: "gpu".to_owned(), ..config.queues[0].clone() };
        config.queues.push(gpu);
        config.labels = "zone=eu".parse().unwrap();
        config.queue_labels.insert("gpu".to_owned(), "gpu=yes".parse().unwrap());
    })
    .await;
    let job = json!({"type": "noop", "queue": "gpu"});
    let id = node.submit(job).await.unwrap().id;
    let waits = node.until("it says why", async || {
        // Until its session is open, the node itself is what is missing.
        node.job(id).await.waits_for.filter(|waits| waits.contains("labels"))
    });
    let waits = waits.await;
    assert_eq!(
        waits,
        "a node with the labels gpu=yes: none of the one node that serves queue \"gpu\" has them"
    );
    let of = |labels: &str| LabelQueue { queue: "gpu".to_owned(), labels: labels.parse().unwrap() };
    let nowhere = LabelQueue { queue: "nowhere".to_owned(), ..of("") };
    let refused = node.handles.gateway.ask(nowhere).await.unwrap();
    assert_eq!(refused, Err(Refusal::NoSuchQueue("nowhere".to_owned())));
    node.handles.gateway.ask(of("zone=eu")).await.unwrap().unwrap();
    node.reaches(id, JobState::Completed).await;
    let queues = node.handles.read_model.ask(GetQueues).await.unwrap().unwrap();
    let gpu = queues.iter().find(|queue| queue.name == "gpu").unwrap();
    assert_eq!(gpu.labels.to_string(), "zone=eu");
    node.stop().await;
}
