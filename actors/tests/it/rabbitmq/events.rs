//! The log, as it is told outside.

use std::{collections::BTreeMap, process::Stdio, time::Duration};

use callboard_actors::{
    edges::bus::{
        BusNumbers, ContractQueue, Outward,
        rabbitmq::{RabbitBus, RabbitSettings},
    },
    roles::{Condition, Conditions},
};
use callboard_contracts::{EventType, JobState, api::LogCursor};
use callboard_testsupport::PrivateRabbit;
use lapin::ExchangeKind;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};
use uuid::Uuid;

use super::support::{Bus, Outside, PATIENCE, private_broker, settings_at, with};
use crate::pipeline::harness::{Folder, Node};

const EXCHANGE: &str = "callboard.events";

/// A node whose log is told to a broker.
struct Told {
    node: Node,
    bus: Bus,
}

impl Told {
    async fn start(folder: &Folder, url: &str, queues: Vec<ContractQueue>) -> Self {
        let outward = Outward { exchange: Some(EXCHANGE.to_owned()), queues };
        let settings =
            RabbitSettings { outward, confirm_timeout: Duration::from_secs(10), ..settings_at(url) };
        let (conditions, numbers) = (Conditions::new(), BusNumbers::default());
        let bus = RabbitBus::new(settings, conditions.clone(), numbers.clone()).unwrap();
        let sink = bus.sink().unwrap();
        let node = Node::configured(folder, |config| {
            config.sinks.push(sink);
            config.bus_numbers = numbers;
        })
        .await;
        Told { node, bus: Bus::run(bus, conditions, None).await }
    }

    /// The log as it stands.
    async fn log(&self) -> Vec<(Uuid, EventType)> {
        let page = self.node.store.events_after(LogCursor::default(), None, 100_000).await.unwrap();
        page.events.iter().map(|event| (event.event.event_id, event.event.event_type)).collect()
    }

    async fn up_to_date(&self) {
        self.node
            .until("a broker that was told all", async || {
                let newest = *self.node.store.committed().borrow();
                let kept = self.node.store.setting("sink.bus.position".to_owned()).await.unwrap();
                (kept == Some(format!("\"{newest}\""))).then_some(())
            })
            .await;
    }

    async fn stop(self) {
        self.node.stop().await;
        self.bus.stop().await;
    }
}

/// Takes all that is in a queue.
async fn ids(outside: &Outside, queue: &str) -> Vec<Uuid> {
    let waiting = outside.waiting(queue).await as usize;
    outside.take_events(queue, waiting).await.iter().map(|event| event.event_id).collect()
}

#[tokio::test]
async fn the_exchange_gets_the_log_and_contract_queues_get_their_types() {
    let broker = private_broker().await;
    let outside = Outside::connect(&broker.url()).await;
    outside.exchange(EXCHANGE, ExchangeKind::Topic).await;
    for (queue, key) in [("everything", "#"), ("ends", "job.completed")] {
        outside.quorum_queue(queue).await;
        outside.bind(queue, EXCHANGE, key).await;
    }
    let folder = Folder::new();
    let told =
        Told::start(&folder, &broker.url(), vec![ContractQueue::Completed, ContractQueue::Failed]).await;
    let jobs = [
        json!({"type": "noop"}),
        json!({"type": "noop"}),
        json!({"type": "fail", "payload": {"fatal": true}}),
    ];
    let ids_of_jobs = told.node.submit_all(jobs.to_vec()).await;
    told.node.reaches(ids_of_jobs[0], JobState::Completed).await;
    told.node.reaches(ids_of_jobs[1], JobState::Completed).await;
    told.node.reaches(ids_of_jobs[2], JobState::Discarded).await;
    told.up_to_date().await;
    let log = told.log().await;
    assert_eq!(ids(&outside, "everything").await, log.iter().map(|event| event.0).collect::<Vec<_>>());
    let of_type = |wanted: EventType| -> Vec<Uuid> {
        log.iter().filter(|event| event.1 == wanted).map(|event| event.0).collect()
    };
    assert_eq!(ids(&outside, "ends").await, of_type(EventType::Completed));

    // Byte for byte what /events shows: the envelope, nothing around it.
    let completed = outside.take("jobs.completed", 2).await;
    for (message, id) in completed.iter().zip(of_type(EventType::Completed)) {
        let body: Value = serde_json::from_slice(&message.delivery.data).unwrap();
        assert_eq!(body["contractVersion"], "1.0.0");
        assert_eq!(body["eventType"], "job.completed");
        assert_eq!(body["eventId"], json!(id));
        assert_eq!(body["payload"]["status"], "COMPLETED");
        let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 8, "{keys:?}");
    }
    assert_eq!(ids(&outside, "jobs.failed").await, of_type(EventType::Failed));

    let metrics = told.node.handles.metrics.render();
    let number = |line: &str| metrics.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
    let topics: u64 = number("callboard_bus_published_total{to=\"topic\"}").unwrap();
    let queues: u64 = number("callboard_bus_published_total{to=\"queue\"}").unwrap();
    let confirmed: u64 = number("callboard_bus_publishes_settled_total{outcome=\"confirmed\"}").unwrap();
    assert_eq!((topics, queues, confirmed), (log.len() as u64, 3, log.len() as u64 + 3));
    assert_eq!(number("callboard_bus_connected"), Some(1));
    assert_eq!(number("callboard_bus_window_used"), Some(0));
    told.stop().await;
}

#[tokio::test]
async fn the_log_is_told_through_a_restart_of_the_broker_and_nothing_of_it_is_lost() {
    let mut broker = private_broker().await;
    let outside = Outside::connect(&broker.url()).await;
    outside.exchange(EXCHANGE, ExchangeKind::Topic).await;
    outside.quorum_queue("everything").await;
    outside.bind("everything", EXCHANGE, "#").await;
    drop(outside);
    let folder = Folder::new();
    let told = Told::start(&folder, &broker.url(), Vec::new()).await;
    let submit = async |count: usize| {
        let jobs = told.node.submit_all((0..count).map(|_| json!({"type": "noop"})).collect()).await;
        for job in jobs {
            told.node.reaches(job, JobState::Completed).await;
        }
    };
    submit(200).await;
    (broker, ()) = with(broker, PrivateRabbit::stop).await;
    // Jobs run on, whatever becomes of the broker.
    submit(200).await;
    told.node
        .until("a word about the broker", async || {
            let condition = told.node.conditions.get("observers/relay-bus")?;
            matches!(condition, Condition::Degraded(_)).then_some(())
        })
        .await;
    (broker, ()) = with(broker, PrivateRabbit::start_again).await;
    submit(200).await;
    told.up_to_date().await;
    let outside = Outside::connect(&broker.url()).await;
    let taken = ids(&outside, "everything").await;
    let log: Vec<Uuid> = told.log().await.into_iter().map(|event| event.0).collect();
    let mut counts: BTreeMap<Uuid, usize> = BTreeMap::new();
    let mut first_times = Vec::new();
    for id in &taken {
        let count = counts.entry(*id).or_default();
        *count += 1;
        if *count == 1 {
            first_times.push(*id);
        }
    }
    assert_eq!(first_times, log, "each event, in the log's order");
    let doubled = taken.len() - log.len();
    // No more than what was under way when the broker stopped.
    assert!(doubled <= 1000, "{doubled} events were told twice");
    told.stop().await;
}

#[tokio::test]
async fn a_contract_queue_that_is_not_there_holds_the_log_up_until_it_is() {
    let broker = private_broker().await;
    let outside = Outside::connect(&broker.url()).await;
    let folder = Folder::new();
    let told = Told::start(&folder, &broker.url(), vec![ContractQueue::Completed]).await;
    told.bus.ready().await;
    outside.delete_queue("jobs.completed").await;
    let job = told.node.submit_all(vec![json!({"type": "noop"})]).await.remove(0);
    told.node.reaches(job, JobState::Completed).await;
    let why = told
        .node
        .until("a word about the queue", async || match told.node.conditions.get("observers/relay-bus")? {
            Condition::Degraded(why) if why.contains("no queue") => Some(why),
            _ => None,
        })
        .await;
    assert_eq!(why, "the broker has no queue jobs.completed");
    outside.queue("jobs.completed", &[]).await;
    told.up_to_date().await;
    assert_eq!(ids(&outside, "jobs.completed").await.len(), 1);
    told.stop().await;
}

/// What an outsider writes who knows nothing but the contract.
const READER: &str = r#"
import json, sys
import pika
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
channel.queue_declare("jobs.completed", durable=True)
events = channel.queue_declare("", exclusive=True).method.queue
channel.exchange_declare("callboard.events", "topic", durable=True)
channel.queue_bind(events, "callboard.events", "job.*")
print("ready", flush=True)
seen = []
for queue in ("jobs.completed", events):
    for method, properties, body in channel.consume(queue, inactivity_timeout=60):
        assert method is not None, "nothing came to " + queue
        event = json.loads(body)
        assert properties.content_type == "application/json" and properties.delivery_mode == 2, properties
        assert properties.message_id == event["eventId"], properties
        assert properties.correlation_id == event["correlationId"], properties
        channel.basic_ack(method.delivery_tag)
        seen.append([event["eventType"], event["payload"]["id"]])
        if event["eventType"] == "job.completed":
            break
    channel.cancel()
print(json.dumps(seen), flush=True)
connection.close()
"#;

#[tokio::test]
async fn a_program_of_others_reads_what_is_told() {
    let Some(python) = std::env::var_os("CALLBOARD_TEST_PYTHON") else {
        eprintln!(
            "left out: CALLBOARD_TEST_PYTHON names no Python that has pika (`scripts/services run -- COMMAND` sets it)"
        );
        return;
    };
    let broker = private_broker().await;
    let mut reader = Command::new(python);
    reader.args(["-c", READER, &broker.url()]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut reader = reader.spawn().unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    let mut line =
        async || timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("a line of the reader");
    assert_eq!(line().await, "ready");
    let folder = Folder::new();
    let told = Told::start(&folder, &broker.url(), vec![ContractQueue::Completed]).await;
    let job = told.node.submit_all(vec![json!({"type": "noop"})]).await.remove(0);
    let seen: Vec<(String, Uuid)> = serde_json::from_str(&line().await).unwrap();
    let types: Vec<&str> = seen.iter().map(|(event_type, _)| event_type.as_str()).collect();
    let expected = ["job.completed", "job.created", "job.validated", "job.executed", "job.completed"];
    assert_eq!(types, expected);
    assert!(seen.iter().all(|(_, of)| *of == job));
    assert!(timeout(PATIENCE, reader.wait()).await.unwrap().unwrap().success());
    told.stop().await;
}
