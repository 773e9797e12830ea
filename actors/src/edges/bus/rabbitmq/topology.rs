//! Exchanges and queues: made, looked at, or left alone, as the settings say.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use lapin::{
    Channel, Connection, ErrorKind, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use tokio::time::{sleep, timeout};

use super::{
    super::{ContractQueue, DEAD_LETTERS, InboundQueue},
    Declare, RabbitSettings,
    link::Link,
    pauses::Pauses,
};
use crate::{edges::remote::Remote, roles::condition::Condition};

/// Where messages go that were delivered too often, from our own queues.
const DEAD: &str = "callboard.dead";
/// Messages that wait in a queue for what is of use for a time only.
const MOST_PASSING: i64 = 10_000;
/// Bytes of them.
const MOST_PASSING_BYTES: i64 = 64 * 1024 * 1024;

/// An exchange or a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The topic exchange for events.
    Events(String),
    /// A queue of the old contract: durable, without arguments, as the old services declare it.
    Contract(&'static str),
    /// A queue of ours: a quorum queue, whose messages go to `callboard.dead` when they were delivered too often.
    Own(String),
    /// A queue of this process alone, for what is of use for a time only: gone with the connection, or with who reads it.
    Passing(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Events(name) => write!(f, "exchange {name}"),
            Place::Contract(name) => write!(f, "queue {name}"),
            Place::Own(name) | Place::Passing(name) => write!(f, "queue {name}"),
        }
    }
}

/// What is published to.
pub(super) fn published(settings: &RabbitSettings) -> Vec<Place> {
    let outward = &settings.outward;
    let exchange = outward.exchange.iter().cloned().map(Place::Events);
    let queues = outward.queues.iter().copied().map(ContractQueue::name);
    // Whoever reads jobs and outcomes of others puts what is invalid to the dead letters.
    let dead_letters = (!settings.consume.is_empty()).then_some(DEAD_LETTERS);
    let work = settings.work_queues.iter().map(|name| match ContractQueue::from_name(name) {
        Some(queue) => Place::Contract(queue.name()),
        None => Place::Own(name.clone()),
    });
    exchange.chain(queues.chain(dead_letters).map(Place::Contract)).chain(work).collect()
}

/// What is read.
pub(super) fn consumed(queue: InboundQueue) -> Place {
    match queue {
        InboundQueue::Contract(queue) => Place::Contract(queue.name()),
        InboundQueue::Outcomes => Place::Own(queue.name().to_owned()),
    }
}

/// Why something is not there, or not as it should be.
#[derive(Debug)]
struct Trouble(String);

/// Waits for a connection, opens a channel on it and sees to it that the places are there. What is wrong is told as the actor's
/// condition, and tried again after growing pauses.
pub(super) async fn open(
    link: &Link,
    actor: &str,
    places: &[Place],
    mut unready: impl FnMut(&str),
) -> (Arc<Connection>, Channel) {
    let mut pauses = Pauses::new(&link.settings);
    loop {
        let connection = link.connection().await;
        let Trouble(why) = match try_open(&connection, &link.settings, places).await {
            Ok(channel) => return (connection, channel),
            Err(trouble) => trouble,
        };
        if !connection.status().connected() {
            lost(link).await;
        }
        unready(&why);
        link.say(actor, Condition::Degraded(why));
        sleep(pauses.next()).await;
    }
}

/// The connection is gone: its actor says so, and the supervisor starts whoever waits here anew.
pub(super) async fn lost(link: &Link) -> ! {
    link.suspect();
    loop {
        std::future::pending::<()>().await;
    }
}

async fn try_open(
    connection: &Connection,
    settings: &RabbitSettings,
    places: &[Place],
) -> Result<Channel, Trouble> {
    let limit = settings.call_timeout;
    let channel = within(limit, connection.create_channel())
        .await
        .map_err(|why| Trouble(format!("no channel: {why}")))?;
    for place in places {
        if settings.declare != Declare::None {
            see_to(&channel, settings, place).await?;
        }
    }
    Ok(channel)
}

async fn see_to(channel: &Channel, settings: &RabbitSettings, place: &Place) -> Result<(), Trouble> {
    match place {
        Place::Events(name) => exchange(channel, settings, name, ExchangeKind::Topic).await,
        Place::Contract(name) => queue(channel, settings, name, FieldTable::default()).await,
        Place::Own(name) => {
            exchange(channel, settings, DEAD, ExchangeKind::Fanout).await?;
            queue(channel, settings, DEAD, quorum()).await?;
            if settings.declare == Declare::Declare {
                let options = QueueBindOptions::default();
                let bound =
                    channel.queue_bind(DEAD.into(), DEAD.into(), "".into(), options, FieldTable::default());
                told(settings, &format!("queue {DEAD}"), bound).await?;
            }
            let mut arguments = quorum();
            arguments
                .insert("x-delivery-limit".into(), AMQPValue::LongLongInt(settings.delivery_limit.into()));
            arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(DEAD.into()));
            queue(channel, settings, name, arguments).await
        }
        Place::Passing(name) => {
            let options =
                QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
            let declared = channel.queue_declare(name.as_str().into(), options, passing());
            told(settings, &place.to_string(), declared).await
        }
    }
}

/// Nothing is kept longer than anybody waits for it, nor more than can be kept in memory: who sends more is refused.
fn passing() -> FieldTable {
    let mut arguments = FieldTable::default();
    let longest = i64::try_from(Remote::LONGEST.as_millis()).unwrap_or(i64::MAX);
    for (name, value) in [
        ("x-message-ttl", longest),
        ("x-max-length", MOST_PASSING),
        ("x-max-length-bytes", MOST_PASSING_BYTES),
    ] {
        arguments.insert(name.into(), AMQPValue::LongLongInt(value));
    }
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments
}

async fn exchange(
    channel: &Channel,
    settings: &RabbitSettings,
    name: &str,
    kind: ExchangeKind,
) -> Result<(), Trouble> {
    let passive = settings.declare == Declare::Check;
    let options = ExchangeDeclareOptions { passive, durable: true, ..ExchangeDeclareOptions::default() };
    let declared = channel.exchange_declare(name.into(), kind, options, FieldTable::default());
    told(settings, &format!("exchange {name}"), declared).await
}

async fn queue(
    channel: &Channel,
    settings: &RabbitSettings,
    name: &str,
    arguments: FieldTable,
) -> Result<(), Trouble> {
    let passive = settings.declare == Declare::Check;
    let options = QueueDeclareOptions { passive, durable: true, ..QueueDeclareOptions::default() };
    told(settings, &format!("queue {name}"), channel.queue_declare(name.into(), options, arguments)).await
}

/// Says in our own words what the broker does not like.
async fn told<T>(
    settings: &RabbitSettings,
    place: &str,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<(), Trouble> {
    let error = match timeout(settings.call_timeout, call).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => return Err(Trouble(format!("{place}: no answer within {:?}", settings.call_timeout))),
    };
    let ErrorKind::ProtocolError(refusal) = error.kind() else {
        return Err(Trouble(format!("{place}: {error}")));
    };
    let said = refusal.get_message();
    Err(Trouble(match refusal.get_id() {
        406 => format!(
            "the broker's {place} is not as it should be (it was made by another program, or with other settings): {said}"
        ),
        404 => format!("the broker has no {place}: {said}"),
        405 => format!(
            "the broker's {place} is another connection's: another node has the same name, or the broker has not seen \
             yet that an earlier connection of this one is lost"
        ),
        403 => format!("the broker's account may not use {place}: {said}"),
        _ => format!("{place}: {said}"),
    }))
}

/// A call's result, or in words why there is none.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = lapin::Result<T>>,
) -> Result<T, String> {
    match timeout(limit, call).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edges::bus::Outward;

    #[test]
    fn only_what_is_used_is_looked_after() {
        let mut settings = RabbitSettings::new("amqp://localhost");
        assert_eq!(published(&settings), []);
        settings.outward = Outward { exchange: Some("events".into()), queues: vec![ContractQueue::Failed] };
        assert_eq!(published(&settings), [Place::Events("events".into()), Place::Contract("jobs.failed")]);
        settings.consume = vec![InboundQueue::Outcomes];
        assert_eq!(published(&settings).last(), Some(&Place::Contract("jobs.failed.validation")));
        settings.work_queues = vec!["callboard.jobs.mail".into(), "jobs.created".into()];
        let work = [Place::Own("callboard.jobs.mail".into()), Place::Contract("jobs.created")];
        assert!(published(&settings).ends_with(&work));
        assert_eq!(consumed(InboundQueue::Outcomes), Place::Own("callboard.outcomes".into()));
        assert_eq!(consumed(InboundQueue::Contract(ContractQueue::Created)), Place::Contract("jobs.created"));
    }
}
