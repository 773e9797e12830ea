//! `job.created` events of other programs.

use callboard_contracts::{EventEnvelope, EventType, JobState};
use serde_json::Value;
use uuid::Uuid;

use super::decided::Decided;
use crate::{
    edges::store::{
        Operation, Outcome,
        outside::{ReceivedEvent, ReceivedJob},
        record::NewJob,
    },
    roles::{
        gateway::check_job,
        node::Node,
        outlet::SERVICE,
        queue::cut,
        request::{Form, Origin, Refusal},
    },
};

/// Bytes that are kept of who says so.
const MAX_PRODUCER: usize = 256;

/// The event that an envelope tells.
pub(super) fn event_of(envelope: &EventEnvelope) -> ReceivedEvent {
    let producer = format!("{}/{}", envelope.producer.service, envelope.producer.instance_id);
    ReceivedEvent {
        id: envelope.event_id,
        occurred_at: envelope.occurred_at,
        producer: cut(producer, MAX_PRODUCER),
    }
}

/// Stores the job of an event, by the same rules as one that is posted to the gateway.
pub(super) async fn take_in(node: &Node, envelope: EventEnvelope) -> Decided {
    if envelope.event_type != EventType::Created {
        let problem = format!("/eventType: expected {}, found {}", EventType::Created, envelope.event_type);
        return Decided::Invalid("event_type", problem);
    }
    if node.is_draining() {
        return Decided::Later("stopping", "the node stops".to_owned());
    }
    let event = event_of(&envelope);
    let ours = envelope.producer.service == SERVICE;
    let id = envelope.payload.get("id").and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
    let origin = Origin { correlation_id: envelope.correlation_id, trace: None };
    let job = match check_job(node, Form::Contract, Value::Object(envelope.payload), origin) {
        Ok(job) => NewJob { event_id: event.id, ..job },
        // What we tell of a job need not be what may be submitted.
        Err(_) if ours && is_known(node, id, event.id).await => return Decided::Done("own"),
        Err(refusal) => return refused(&refusal),
    };
    let (id, queue) = (job.id, job.queue.clone());
    let received = ReceivedJob { event, job };
    match node.store.write(Operation::ReceiveJob(Box::new(received))).await {
        Ok(Outcome::Enqueued { state }) => {
            if state == JobState::Available {
                node.wake([&queue]);
            }
            Decided::Done("stored")
        }
        Ok(Outcome::Duplicate { .. }) => Decided::Done("duplicate"),
        Ok(Outcome::Seen) => Decided::Done("seen"),
        Ok(Outcome::Conflict) => refused(&Refusal::Conflict(id)),
        Ok(Outcome::BacklogFull { waiting, limit }) => {
            Decided::Later("backlog", format!("queue {queue:?} has {waiting} waiting jobs of {limit}"))
        }
        Ok(Outcome::StoreFull { waiting, limit }) => {
            Decided::Later("backlog", format!("{waiting} jobs of {limit} wait in all queues together"))
        }
        Ok(other) => Decided::Later("store", format!("the store answered with {other:?}")),
        Err(error) => Decided::Later("store", error.to_string()),
    }
}

/// Whether this is our own event of a job that is here.
async fn is_known(node: &Node, job: Option<Uuid>, event: Uuid) -> bool {
    let Some(job) = job else { return false };
    let found = node.store.job(job).await;
    found.is_ok_and(|found| found.is_some_and(|found| found.job.created_event_id == event))
}

fn refused(refusal: &Refusal) -> Decided {
    let reason = match refusal {
        Refusal::UnknownType { .. } => "unknown_type",
        Refusal::Forbidden(_) => "forbidden",
        Refusal::Conflict(_) => "conflict",
        Refusal::TooLarge { .. } => "too_large",
        Refusal::Unavailable(_) => return Decided::Later("store", refusal.to_string()),
        Refusal::Stopping => return Decided::Later("stopping", refusal.to_string()),
        _ => "job",
    };
    Decided::Invalid(reason, format!("the job in /payload: {refusal}"))
}
