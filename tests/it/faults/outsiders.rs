//! Programs outside, which the fleet has dealings with over the broker and the servers.

use std::{
    collections::HashMap,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ExchangeKind,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
        ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions,
    },
    types::FieldTable,
};
use mongodb::{Client, bson::Document};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    time::{error::Elapsed, timeout},
};
use uuid::Uuid;

use super::work::Work;
use crate::server::PATIENCE;

const EXCHANGE: &str = "callboard.events";
const EVERYTHING: &str = "outsiders.everything";
/// How often a job is given to the fleet over the broker.
const EVERY: Duration = Duration::from_millis(200);
/// The pause before a broker that is away is tried again, and how long it may take to answer.
const AGAIN: Duration = Duration::from_millis(200);
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// The events that came over the broker, by their ids, and how often each came.
#[derive(Clone, Default)]
pub(super) struct Heard(Arc<Mutex<HashMap<Uuid, u64>>>);

impl Heard {
    pub(super) fn times(&self) -> HashMap<Uuid, u64> {
        self.0.lock().expect("no panic").clone()
    }
}

/// Declares the exchange and a queue that gets all, before anybody publishes.
pub(super) fn prepare(broker: &str) -> Result<(), String> {
    let declared = async {
        let channel = channel(broker).await?;
        let durable = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let (exchange, queue) = (EXCHANGE.into(), EVERYTHING.into());
        channel.exchange_declare(exchange, ExchangeKind::Topic, durable, FieldTable::default()).await?;
        let durable = QueueDeclareOptions { durable: true, ..Default::default() };
        channel.queue_declare(queue, durable, FieldTable::default()).await?;
        let bind = QueueBindOptions::default();
        channel
            .queue_bind(EVERYTHING.into(), EXCHANGE.into(), "#".into(), bind, FieldTable::default())
            .await?;
        Ok(())
    };
    runtime().block_on(declared).map_err(|error: Unanswered| format!("the broker: {error}"))
}

/// Reads all events until the work is over, through all that the broker does.
pub(super) fn listen(work: &Work, broker: &str, heard: &Heard) {
    runtime().block_on(async {
        while !work.is_over() {
            // It is away, went away, or does not answer: there is another try.
            let _ = read(work, broker, heard).await;
            tokio::time::sleep(AGAIN).await;
        }
    });
}

async fn read(work: &Work, broker: &str, heard: &Heard) -> Result<(), Unanswered> {
    let channel = channel(broker).await?;
    answered(channel.basic_qos(500, BasicQosOptions::default())).await?;
    let (queue, tag) = (EVERYTHING.into(), "outsiders".into());
    let consume = channel.basic_consume(queue, tag, BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries = answered(consume).await?;
    while !work.is_over() {
        // Who hears nothing for so long looks whether the broker is still there.
        let Some(delivery) = timeout(ANSWER_WITHIN, deliveries.next()).await? else { return Ok(()) };
        let delivery = delivery?;
        let event: Value = serde_json::from_slice(&delivery.data).unwrap_or_default();
        if let Some(id) = event["eventId"].as_str().and_then(|id| Uuid::try_parse(id).ok()) {
            *heard.0.lock().expect("no panic").entry(id).or_default() += 1;
        }
        answered(delivery.ack(BasicAckOptions::default())).await?;
    }
    Ok(())
}

/// Gives the fleet a job every now and then, the same event again and again until the broker has it.
pub(super) fn give_jobs(work: &Work, broker: &str) {
    runtime().block_on(async {
        let mut waiting: Option<Vec<u8>> = None;
        while !work.is_over() {
            let _ = publish(work, broker, &mut waiting).await;
            tokio::time::sleep(AGAIN).await;
        }
    });
}

async fn publish(work: &Work, broker: &str, waiting: &mut Option<Vec<u8>>) -> Result<(), Unanswered> {
    let channel = channel(broker).await?;
    answered(channel.confirm_select(ConfirmSelectOptions::default())).await?;
    while !work.is_over() {
        if waiting.is_none() && !work.rests() {
            let (job, event) = created();
            work.add(job);
            *waiting = Some(event);
        }
        if let Some(event) = waiting.as_ref() {
            let options = BasicPublishOptions { mandatory: true, ..Default::default() };
            let properties = BasicProperties::default().with_delivery_mode(2);
            let publish = channel.basic_publish("".into(), "jobs.created".into(), options, event, properties);
            // Nobody has declared the queue yet if it comes back.
            if let Confirmation::Ack(None) = answered(answered(publish).await?).await? {
                *waiting = None;
            }
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(())
}

/// A job in the contract's envelope.
fn created() -> (Uuid, Vec<u8>) {
    let (job, now) = (Uuid::now_v7(), callboard_contracts::Timestamp::now());
    let event = json!({
        "contractVersion": "1.0.0", "eventType": "job.created", "eventId": Uuid::now_v7(), "occurredAt": now,
        "producer": { "service": "outsiders", "instanceId": "outsiders-1", "version": "1.0.0" },
        "correlationId": Uuid::now_v7(), "idempotencyKey": job.to_string(),
        "payload": { "id": job, "type": "noop", "status": "PENDING", "createdAt": now, "payload": {} },
    });
    (job, event.to_string().into_bytes())
}

/// The broker refuses, is away, or says nothing.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error(transparent)]
    Refused(#[from] lapin::Error),
    #[error("no answer: {0}")]
    Late(#[from] Elapsed),
}

/// The client waits without end for a broker that goes while it is asked.
async fn answered<T>(asked: impl Future<Output = lapin::Result<T>>) -> Result<T, Unanswered> {
    Ok(timeout(ANSWER_WITHIN, asked).await??)
}

async fn channel(broker: &str) -> Result<Channel, Unanswered> {
    let connection = answered(Connection::connect(broker, ConnectionProperties::default())).await?;
    answered(connection.create_channel()).await
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// How many jobs Redis says there were.
pub(super) fn counted(redis_port: u16) -> Option<u64> {
    let port = redis_port.to_string();
    let output = Command::new("redis-cli").args(["-p", &port, "get", "metrics:jobs:total"]).output();
    String::from_utf8_lossy(&output.ok()?.stdout).trim().parse().ok()
}

/// How many events the archive has. Each is there once: its index by `eventId` is unique.
pub(super) fn archived(mongodb: &str) -> Result<u64, String> {
    let count = async {
        let client = Client::with_uri_str(mongodb).await?;
        client
            .database("observatory")
            .collection::<Document>("job_events")
            .count_documents(Document::new())
            .await
    };
    runtime()
        .block_on(async { timeout(PATIENCE, count).await })
        .map_err(|_| "MongoDB does not answer".to_owned())?
        .map_err(|error: mongodb::error::Error| format!("MongoDB: {error}"))
}
