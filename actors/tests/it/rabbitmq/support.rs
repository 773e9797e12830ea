//! A bus that runs, and whoever is outside.

use std::{sync::Arc, time::Duration};

use callboard_actors::{
    edges::bus::{
        BusNumbers, Destination, OutgoingMessage, Publish, PublishError, Receive,
        rabbitmq::{RabbitBus, RabbitSettings},
    },
    roles::{Condition, Conditions},
};
use callboard_contracts::EventEnvelope;
use callboard_supervisors::{ActorSystem, SupervisorSpec};
use callboard_testsupport::{PrivateRabbit, rabbitmq_url};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind,
    message::BasicGetMessage,
    options::{
        BasicGetOptions, BasicPublishOptions, ExchangeDeclareOptions, ExchangeDeleteOptions,
        QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    },
    types::{AMQPValue, FieldTable},
};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};
use uuid::Uuid;

/// How long anything may take that normally takes milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The actors of the stack, as they are on the board of conditions.
pub(super) const CONNECTION: &str = "bus/connection";
pub(super) const PUBLISHER: &str = "bus/publisher";

/// Settings that find out soon, on the broker of all.
pub(super) fn settings() -> RabbitSettings {
    settings_at(&rabbitmq_url())
}

pub(super) fn settings_at(url: &str) -> RabbitSettings {
    RabbitSettings {
        name: "callboard test".to_owned(),
        connect_timeout: Duration::from_secs(2),
        backoff_min: Duration::from_millis(10),
        backoff_max: Duration::from_millis(200),
        ..RabbitSettings::new(url)
    }
}

/// A bus that runs by itself.
pub(super) struct Bus {
    pub(super) system: ActorSystem,
    pub(super) publisher: Arc<dyn Publish>,
    pub(super) conditions: Conditions,
}

impl Bus {
    pub(super) async fn start(settings: RabbitSettings) -> Self {
        Self::with(settings, None).await
    }

    pub(super) async fn receiving(settings: RabbitSettings, receive: Arc<dyn Receive>) -> Self {
        Self::with(settings, Some(receive)).await
    }

    async fn with(settings: RabbitSettings, receive: Option<Arc<dyn Receive>>) -> Self {
        let conditions = Conditions::new();
        let bus = RabbitBus::new(settings, conditions.clone(), BusNumbers::default()).unwrap();
        Self::run(bus, conditions, receive).await
    }

    pub(super) async fn run(
        bus: RabbitBus,
        conditions: Conditions,
        receive: Option<Arc<dyn Receive>>,
    ) -> Self {
        let publisher = bus.publisher();
        let root = SupervisorSpec::new("root").supervisor(bus.supervisor(receive));
        let system = ActorSystem::builder("test").executors(1).start(root).await.unwrap();
        Bus { system, publisher, conditions }
    }

    /// Waits until an actor says what is expected.
    pub(super) async fn says(&self, actor: &str, expected: impl Fn(&Condition) -> bool) -> String {
        until(actor, async || {
            let condition = self.conditions.get(actor)?;
            expected(&condition).then(|| condition.to_string())
        })
        .await
    }

    pub(super) async fn ready(&self) {
        for actor in [CONNECTION, PUBLISHER] {
            self.says(actor, |condition| *condition == Condition::Ready).await;
        }
    }

    /// Waits until an actor is in trouble, and gives its words.
    pub(super) async fn trouble(&self, actor: &str) -> String {
        self.says(actor, |condition| matches!(condition, Condition::Degraded(_))).await
    }

    pub(super) async fn publish(&self, messages: Vec<OutgoingMessage>) -> Vec<Result<(), PublishError>> {
        timeout(PATIENCE, self.publisher.publish(messages)).await.unwrap()
    }

    /// How often the actors have been started anew, in all.
    pub(super) fn restarts(&self) -> u64 {
        let stack = ["bus/connection", "bus/publisher"];
        let tree = self.system.root().snapshot();
        let bus = tree.children.iter().find(|child| child.name.as_ref() == "bus").unwrap();
        let actors =
            bus.children.iter().filter(|child| stack.iter().any(|path| path.ends_with(&*child.name)));
        actors.map(|child| child.generation).sum()
    }

    pub(super) async fn stop(self) {
        let report = self.system.shutdown(PATIENCE).await;
        assert!(report.is_clean(), "{report:?}");
    }
}

/// Waits until there is something.
pub(super) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}

/// A name that nobody else has.
pub(super) fn name(what: &str) -> String {
    format!("callboard.test.{what}.{}", Uuid::new_v4().simple())
}

pub(super) fn to_queue(queue: &str, body: impl Into<String>) -> OutgoingMessage {
    message(Destination::Queue(queue.to_owned()), body)
}

pub(super) fn to_topic(exchange: &str, routing_key: &str, body: impl Into<String>) -> OutgoingMessage {
    message(Destination::Topic { exchange: exchange.to_owned(), routing_key: routing_key.to_owned() }, body)
}

fn message(destination: Destination, body: impl Into<String>) -> OutgoingMessage {
    let body = body.into().into_bytes().into();
    OutgoingMessage { destination, id: Uuid::now_v7(), body, correlation_id: Uuid::now_v7(), passing: None }
}

/// A program outside, with a connection of its own.
pub(super) struct Outside {
    _connection: Connection,
    pub(super) channel: Channel,
}

impl Outside {
    pub(super) async fn connect(url: &str) -> Self {
        let connection = until("a connection from outside", async || {
            Connection::connect(url, ConnectionProperties::default()).await.ok()
        })
        .await;
        let channel = connection.create_channel().await.unwrap();
        Outside { _connection: connection, channel }
    }

    pub(super) async fn quorum_queue(&self, name: &str) {
        self.queue(name, &[("x-queue-type", AMQPValue::LongString("quorum".into()))]).await;
    }

    pub(super) async fn queue(&self, name: &str, arguments: &[(&str, AMQPValue)]) {
        let mut table = FieldTable::default();
        for (name, value) in arguments {
            table.insert((*name).into(), value.clone());
        }
        let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
        self.channel.queue_declare(name.into(), options, table).await.unwrap();
    }

    pub(super) async fn exchange(&self, name: &str, kind: ExchangeKind) {
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        self.channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await.unwrap();
    }

    pub(super) async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let options = QueueBindOptions::default();
        let (queue, exchange, key) = (queue.into(), exchange.into(), routing_key.into());
        self.channel.queue_bind(queue, exchange, key, options, FieldTable::default()).await.unwrap();
    }

    pub(super) async fn send(&self, queue: &str, body: &[u8]) {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        self.channel.basic_publish("".into(), queue.into(), options, body, properties).await.unwrap();
    }

    /// Takes the next message out of a queue, if there is one.
    pub(super) async fn get(&self, queue: &str) -> Option<BasicGetMessage> {
        self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap()
    }

    /// Takes so many messages out of a queue, as they come.
    pub(super) async fn take(&self, queue: &str, count: usize) -> Vec<BasicGetMessage> {
        let mut taken = Vec::new();
        while taken.len() < count {
            taken.push(until(queue, async || self.get(queue).await).await);
        }
        taken
    }

    pub(super) async fn take_events(&self, queue: &str, count: usize) -> Vec<EventEnvelope> {
        let messages = self.take(queue, count).await;
        messages.iter().map(|message| serde_json::from_slice(&message.delivery.data).unwrap()).collect()
    }

    /// Messages in a queue that nobody has taken.
    pub(super) async fn waiting(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let queue = self.channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
        queue.message_count()
    }

    pub(super) async fn delete_queue(&self, name: &str) {
        self.channel.queue_delete(name.into(), QueueDeleteOptions::default()).await.unwrap();
    }

    pub(super) async fn delete_exchange(&self, name: &str) {
        self.channel.exchange_delete(name.into(), ExchangeDeleteOptions::default()).await.unwrap();
    }
}

/// A broker of the test's own, whose calls block.
pub(super) async fn private_broker() -> PrivateRabbit {
    spawn_blocking(PrivateRabbit::start).await.unwrap()
}

/// Does something with a broker that blocks.
pub(super) async fn with<T: Send + 'static>(
    mut broker: PrivateRabbit,
    work: impl FnOnce(&mut PrivateRabbit) -> T + Send + 'static,
) -> (PrivateRabbit, T) {
    spawn_blocking(move || {
        let done = work(&mut broker);
        (broker, done)
    })
    .await
    .unwrap()
}
