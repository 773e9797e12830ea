//! Which messages an event is told by.

use bytes::Bytes;

use super::{ContractQueue, Destination, OutgoingMessage};
use crate::edges::store::record::LoggedEvent;

/// Where events are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outward {
    /// The topic exchange that gets every event, its type as the routing key.
    pub exchange: Option<String>,
    /// The queues of the old contract whose consumers are outside. Each gets the one type that belongs there.
    pub queues: Vec<ContractQueue>,
}

impl Outward {
    /// Whether nobody is told anything.
    pub fn is_empty(&self) -> bool {
        self.exchange.is_none() && self.queues.is_empty()
    }

    /// Adds the messages that an event is told by: its envelope as it stands, under the event's id.
    pub(super) fn add(&self, event: &LoggedEvent, messages: &mut Vec<OutgoingMessage>) {
        let event = &event.event;
        let queues = self.queues.iter().filter(|queue| queue.event_type() == event.event_type);
        let queues = queues.map(|queue| Destination::Queue(queue.name().to_owned()));
        let topic = self.exchange.iter().map(|exchange| Destination::Topic {
            exchange: exchange.clone(),
            routing_key: event.event_type.as_str().to_owned(),
        });
        let mut body: Option<Bytes> = None;
        for destination in queues.chain(topic) {
            let body = body.get_or_insert_with(|| {
                // An envelope is strings and JSON values: there is nothing in it that JSON could not write.
                serde_json::to_vec(event).unwrap_or_default().into()
            });
            messages.push(OutgoingMessage {
                destination,
                id: event.event_id,
                body: body.clone(),
                correlation_id: event.correlation_id,
                passing: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard_contracts::{EventEnvelope, EventType, Producer, Timestamp, api::LogCursor};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn event(event_type: EventType) -> LoggedEvent {
        let payload = json!({"id": Uuid::nil(), "type": "noop"});
        LoggedEvent {
            cursor: LogCursor { epoch: 1, position: 7 },
            queue: "default".into(),
            job_type: "noop".into(),
            duration: None,
            event: EventEnvelope {
                contract_version: event_type.contract_version().into(),
                event_type,
                event_id: Uuid::now_v7(),
                occurred_at: Timestamp::from_micros(0),
                producer: Producer {
                    service: "callboard".into(),
                    instance_id: "a".into(),
                    version: "0".into(),
                },
                correlation_id: Uuid::now_v7(),
                idempotency_key: "key".into(),
                payload: payload.as_object().unwrap().clone(),
            },
        }
    }

    fn told(outward: &Outward, event: &LoggedEvent) -> Vec<String> {
        let mut messages = Vec::new();
        outward.add(event, &mut messages);
        let told = messages.into_iter().map(|message| {
            assert_eq!(
                (message.id, message.correlation_id),
                (event.event.event_id, event.event.correlation_id)
            );
            assert_eq!(serde_json::from_slice::<EventEnvelope>(&message.body).unwrap(), event.event);
            match message.destination {
                Destination::Queue(queue) => queue,
                Destination::Topic { exchange, routing_key } => format!("{exchange}/{routing_key}"),
            }
        });
        told.collect()
    }

    #[test]
    fn the_exchange_gets_every_type_and_a_contract_queue_only_its_own() {
        let queues = vec![ContractQueue::Completed, ContractQueue::Failed];
        let outward = Outward { exchange: Some("events".into()), queues };
        for event_type in EventType::ALL {
            let mut expected = vec![format!("events/{event_type}")];
            match event_type {
                EventType::Completed => expected.insert(0, "jobs.completed".into()),
                EventType::Failed => expected.insert(0, "jobs.failed".into()),
                _ => {}
            }
            assert_eq!(told(&outward, &event(event_type)), expected);
        }
        let alone = Outward { exchange: None, queues: vec![ContractQueue::Created] };
        assert_eq!(told(&alone, &event(EventType::Created)), ["jobs.created"]);
        assert!(told(&alone, &event(EventType::AttemptFailed)).is_empty());
        assert!(Outward::default().is_empty() && !alone.is_empty());
    }
}
