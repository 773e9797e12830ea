//! [`Publisher`]: the actor that owns the channel on which messages are sent.

use std::{
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_supervisors::{Actor, ActorRef, Context, Message, PlainHandler, StartError};
use futures_util::{
    FutureExt,
    future::{BoxFuture, LocalBoxFuture},
};
use lapin::{
    BasicProperties, Channel, Confirmation,
    options::{BasicPublishOptions, ConfirmSelectOptions},
    types::ShortString,
};
use prometheus::IntCounter;
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};
use uuid::Uuid;

use super::{
    super::{BusNumbers, Destination, OutgoingMessage, Passing, Publish, PublishError},
    link::Link,
    outbox::{Answer, Next, Outbox},
    topology::{self, within},
    window::{Confirm, Swept, Window},
};
use crate::roles::condition::Condition;

/// How often it is looked whether a confirmation is overdue, and whether the channel lives.
const LOOK: Duration = Duration::from_millis(250);
/// Is kept in memory alone.
const TRANSIENT: u8 = 1;
/// Survives a restart of the broker.
const PERSISTENT: u8 = 2;

/// Sends messages and waits for the broker's confirmations, as many at a time as the window has room for.
pub(super) struct Publisher {
    outbox: Rc<Outbox>,
}

/// Messages to be sent, and who is told what became of them.
#[derive(Message)]
pub(super) struct PublishBatch {
    messages: Vec<OutgoingMessage>,
    answer: oneshot::Sender<Answer>,
}

impl Actor for Publisher {
    type Args = Arc<Link>;

    async fn start(link: Arc<Link>, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let outbox = Rc::new(Outbox::default());
        outbox.close("there is no connection yet");
        // What an earlier generation said is over; that there is no connection, the connection says.
        link.conditions.remove(&cx.path());
        cx.spawn_then(live(link, outbox.clone(), cx.path()), |(), _, cx| cx.stop());
        Ok(Publisher { outbox })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.outbox.close("the publisher stops");
    }
}

impl PlainHandler<PublishBatch> for Publisher {
    type Reply = ();

    fn handle(&mut self, PublishBatch { messages, answer }: PublishBatch, _: &mut Context<Self>) {
        self.outbox.put(messages, answer);
    }
}

/// One channel's life.
async fn live(link: Arc<Link>, outbox: Rc<Outbox>, path: String) {
    let places = topology::published(&link.settings);
    let (connection, channel) = topology::open(&link, &path, &places, |why| outbox.close(why)).await;
    let confirms = channel.confirm_select(ConfirmSelectOptions::default());
    let why = match within(link.settings.call_timeout, confirms).await {
        Ok(()) => {
            outbox.open();
            link.say(&path, Condition::Ready);
            Sending::new(&link, &channel, &outbox).run().await
        }
        Err(why) => why,
    };
    outbox.close(&why);
    link.numbers.window.set(0);
    if !connection.status().connected() {
        topology::lost(&link).await;
    }
    link.say(&path, Condition::Degraded(format!("its channel has died: {why}")));
    // What is still on its way there is of no more use.
    let _ = within(link.settings.call_timeout, channel.close(200, "not in use any more".into())).await;
}

/// A channel at work.
struct Sending<'a> {
    link: &'a Link,
    channel: &'a Channel,
    outbox: &'a Outbox,
    window: Window<LocalBoxFuture<'a, Confirm>>,
    counters: Counters,
}

impl<'a> Sending<'a> {
    fn new(link: &'a Link, channel: &'a Channel, outbox: &'a Outbox) -> Self {
        let window = Window::new(link.settings.window);
        Sending { link, channel, outbox, window, counters: Counters::new(&link.numbers) }
    }

    /// Sends what comes; returns when the channel has died, and why it has.
    async fn run(mut self) -> String {
        let why = self.send_all().await;
        let unknown = PublishError::NotReady(why.clone());
        self.counters.unconfirmed.inc_by(self.window.give_up(&unknown) as u64);
        why
    }

    async fn send_all(&mut self) -> String {
        let limit = self.link.settings.confirm_timeout;
        let mut blocked = self.link.blocked();
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_blocked = match &*blocked.borrow_and_update() {
                Some(why) => {
                    self.outbox.close(&format!("the broker takes no messages: {why}"));
                    true
                }
                None => {
                    self.outbox.open();
                    false
                }
            };
            while self.window.has_room()
                && let Some(next) = self.outbox.next()
            {
                self.send(next).await;
            }
            self.link.numbers.window.set(self.window.open() as i64);
            let has_room = self.window.has_room();
            tokio::select! {
                biased;
                swept = self.window.settled() => {
                    if let Some(why) = self.count(swept) {
                        return why;
                    }
                }
                () = self.outbox.filled(), if has_room => {}
                // The sender is in the link.
                _ = blocked.changed() => {}
                _ = looks.tick() => {
                    if let Some(swept) = self.window.look().await
                        && let Some(why) = self.count(swept)
                    {
                        return why;
                    }
                    let late = self.window.oldest().is_some_and(|at| at.elapsed() >= limit);
                    if late && is_blocked {
                        self.counters.unconfirmed.inc_by(self.window.expire(&PublishError::TimedOut(limit)) as u64);
                    } else if late {
                        let late = self.window.give_up(&PublishError::TimedOut(limit));
                        self.counters.unconfirmed.inc_by(late as u64);
                        return format!("no confirmation within {limit:?}");
                    }
                    if !self.channel.status().connected() {
                        return "the broker has closed it".to_owned();
                    }
                }
            }
        }
    }

    async fn send(&mut self, Next { message, batch, index }: Next) {
        let OutgoingMessage { destination, id, body, correlation_id, passing } = message;
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(short(&id))
            .with_correlation_id(short(&correlation_id))
            .with_app_id("callboard".into());
        if let Some(Passing { until, reply_to }) = passing {
            let left = until.saturating_duration_since(Instant::now()).as_millis();
            if left == 0 {
                let late = "it was of no use any more when its turn came".to_owned();
                batch.settle(index, Err(PublishError::NotReady(late)));
                return;
            }
            properties = properties.with_delivery_mode(TRANSIENT).with_expiration(left.to_string().into());
            if let Some(queue) = reply_to {
                properties = properties.with_reply_to(queue.into());
            }
        }
        let (exchange, routing_key, queue) = match destination {
            Destination::Queue(queue) => (ShortString::default(), queue.as_str().into(), Some(queue)),
            Destination::Topic { exchange, routing_key } => (exchange.into(), routing_key.into(), None),
        };
        // An event that nobody has asked for is none to complain of; a message for a queue that is not there is.
        let options = BasicPublishOptions { mandatory: queue.is_some(), ..BasicPublishOptions::default() };
        let counter = if queue.is_some() { &self.counters.to_queues } else { &self.counters.to_topics };
        counter.inc();
        let channel = self.channel.clone();
        // Its first poll hands the frames over. That they are written is not waited for: the window is the bound.
        let confirm = async move {
            match channel.basic_publish(exchange, routing_key, options, &body, properties).await {
                Ok(confirm) => said(confirm.await),
                Err(error) => Confirm::Dead(error.to_string()),
            }
        };
        self.window.push(id, queue, confirm.boxed_local(), batch, index).await;
    }

    fn count(&self, swept: Swept) -> Option<String> {
        let Swept { confirmed, returned, refused, dead } = swept;
        self.counters.confirmed.inc_by(confirmed);
        self.counters.returned.inc_by(returned);
        self.counters.refused.inc_by(refused);
        dead
    }
}

fn short(id: &Uuid) -> ShortString {
    id.hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned().into()
}

/// What is counted for every message.
struct Counters {
    to_queues: IntCounter,
    to_topics: IntCounter,
    confirmed: IntCounter,
    returned: IntCounter,
    refused: IntCounter,
    unconfirmed: IntCounter,
}

impl Counters {
    fn new(numbers: &BusNumbers) -> Self {
        let settled = |outcome| numbers.settled.with_label_values(&[outcome]);
        Counters {
            to_queues: numbers.published.with_label_values(&["queue"]),
            to_topics: numbers.published.with_label_values(&["topic"]),
            confirmed: settled("confirmed"),
            returned: settled("returned"),
            refused: settled("refused"),
            unconfirmed: settled("unconfirmed"),
        }
    }
}

/// The client library's word about a message in ours.
fn said(confirmation: lapin::Result<Confirmation>) -> Confirm {
    let (message, is_taken) = match confirmation {
        Ok(Confirmation::Ack(message)) => (message, true),
        Ok(Confirmation::Nack(message)) => (message, false),
        Ok(Confirmation::NotRequested) => (None, true),
        Err(error) => return Confirm::Dead(error.to_string()),
    };
    let returned = message.and_then(|message| {
        let id = message.properties.message_id().as_ref()?;
        Uuid::try_parse(id.as_str()).ok()
    });
    if is_taken { Confirm::Taken { returned } } else { Confirm::Refused { returned } }
}

/// The way to the [`Publisher`], over its restarts.
#[derive(Clone)]
pub(super) struct PublisherHandle(pub(super) ActorRef<Publisher>);

impl Publish for PublisherHandle {
    fn publish(&self, messages: Vec<OutgoingMessage>) -> BoxFuture<'static, Answer> {
        let publisher = self.0.clone();
        async move {
            let count = messages.len();
            if count == 0 {
                return Vec::new();
            }
            let (answer, answered) = oneshot::channel();
            let why = match publisher.send(PublishBatch { messages, answer }).await {
                Ok(()) => match answered.await {
                    Ok(answer) => return answer,
                    Err(_) => "the publisher was restarted".to_owned(),
                },
                Err(error) => error.to_string(),
            };
            vec![Err(PublishError::NotReady(why)); count]
        }
        .boxed()
    }
}
