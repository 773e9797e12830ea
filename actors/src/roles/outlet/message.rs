//! What a worker outside is told of a job.

use callboard_contracts::{EventEnvelope, EventType, JobStatus, Producer, WorkerAttempt, outside::METADATA};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::{OutletConfig, SERVICE};
use crate::{
    edges::{
        bus::{Destination, OutgoingMessage},
        store::record::ClaimedJob,
    },
    roles::RolesConfig,
};

/// The message of an attempt: a `job.created` event, as whoever submitted the job could have sent it, that says which attempt it
/// is. Sent again it is the same message.
/// `text`: its payload, decrypted.
pub(super) fn of(
    config: &RolesConfig,
    outlet: &OutletConfig,
    job: &ClaimedJob,
    text: &str,
) -> OutgoingMessage {
    let id = message_id(job.id, job.token);
    let mut payload = object(job.document.as_deref());
    payload.entry("createdAt").or_insert_with(|| json!(job.created_at));
    payload.insert("id".to_owned(), json!(job.id));
    payload.insert("type".to_owned(), json!(job.job_type));
    payload.insert("status".to_owned(), json!(JobStatus::Pending));
    payload.insert("payload".to_owned(), Value::Object(object(Some(text))));
    let mut metadata = object(job.metadata.as_deref());
    metadata.insert(METADATA.to_owned(), json!(attempt(outlet, job)));
    payload.insert("metadata".to_owned(), Value::Object(metadata));
    let event = EventEnvelope {
        contract_version: EventType::Created.contract_version().to_owned(),
        event_type: EventType::Created,
        event_id: id,
        occurred_at: job.claimed_at,
        producer: Producer {
            service: SERVICE.to_owned(),
            instance_id: config.node.clone(),
            version: config.version.clone(),
        },
        correlation_id: job.correlation_id,
        idempotency_key: job.id.to_string(),
        payload,
    };
    OutgoingMessage {
        destination: Destination::Queue(outlet.destination(&job.queue)),
        id,
        body: json!(event).to_string().into(),
        correlation_id: job.correlation_id,
        passing: None,
    }
}

fn attempt(outlet: &OutletConfig, job: &ClaimedJob) -> WorkerAttempt {
    WorkerAttempt {
        attempt: job.attempt,
        token: job.token,
        max_attempts: Some(job.max_attempts),
        queue: Some(job.queue.clone()),
        visibility_timeout_ms: Some(u64::try_from(outlet.visibility_timeout.as_millis()).unwrap_or(u64::MAX)),
        started_at: None,
        is_final: None,
    }
}

/// What is stored is an object; what is damaged is sent as an empty one.
fn object(text: Option<&str>) -> Map<String, Value> {
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// The id of the message of an attempt.
fn message_id(job: Uuid, token: u64) -> Uuid {
    let mut digest = Sha256::new_with_prefix("callboard outside\0");
    digest.update(job.as_bytes());
    digest.update(token.to_be_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callboard_contracts::Timestamp;

    use super::*;

    fn job() -> ClaimedJob {
        ClaimedJob {
            id: Uuid::from_u128(1),
            job_type: "mail".to_owned(),
            queue: "post".to_owned(),
            payload: r#"{"to":"ada"}"#.to_owned(),
            metadata: Some(r#"{"source":"web","callboard":"mine"}"#.to_owned()),
            document: Some(
                r#"{"id":"x","createdAt":"2020-01-01T00:00:00Z","status":"EXECUTING","extra":[1]}"#
                    .to_owned(),
            ),
            attempt: 2,
            max_attempts: 5,
            timeout: Duration::from_secs(1),
            token: 17,
            correlation_id: Uuid::from_u128(2),
            created_at: Timestamp::from_micros(3),
            claimed_at: Timestamp::from_micros(4),
            trace: None,
            partition_key: None,
        }
    }

    #[test]
    fn a_worker_is_told_the_job_as_it_was_submitted_and_which_attempt_it_is() {
        let outlet = OutletConfig { visibility_timeout: Duration::from_secs(7), destination: None };
        let message = of(&RolesConfig::default(), &outlet, &job(), &job().payload);
        assert_eq!(message.destination, Destination::Queue("callboard.jobs.post".to_owned()));
        let event: EventEnvelope = serde_json::from_slice(&message.body).unwrap();
        assert_eq!((event.event_id, event.event_type), (message.id, EventType::Created));
        assert_eq!((event.correlation_id, message.correlation_id), (Uuid::from_u128(2), Uuid::from_u128(2)));
        let expected = json!({
            "id": Uuid::from_u128(1), "type": "mail", "status": "PENDING", "createdAt": "2020-01-01T00:00:00Z",
            "payload": {"to": "ada"}, "extra": [1],
            "metadata": {"source": "web", "callboard": {
                "attempt": 2, "token": 17, "maxAttempts": 5, "queue": "post", "visibilityTimeoutMs": 7000,
            }},
        });
        assert_eq!(Value::Object(event.payload), expected);
    }

    #[test]
    fn an_attempt_has_one_message_and_each_has_its_own() {
        let (outlet, config) = (OutletConfig::default(), RolesConfig::default());
        let id = |job: &ClaimedJob| of(&config, &outlet, job, &job.payload).id;
        assert_eq!(id(&job()), id(&job()));
        assert_ne!(id(&job()), id(&ClaimedJob { token: 18, ..job() }));
        assert_ne!(id(&job()), id(&ClaimedJob { id: Uuid::from_u128(9), ..job() }));
    }
}
