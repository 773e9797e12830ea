//! [`Consumer`]: the actor that reads one queue.

use std::{sync::Arc, time::Duration};

use callboard_supervisors::{Actor, Context, StartError};
use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel,
    options::{BasicAckOptions, BasicConsumeOptions, BasicNackOptions, BasicQosOptions},
    types::FieldTable,
};
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    super::{
        DEAD_LETTERS, Delivery, Destination, InboundQueue, OutgoingMessage, Publish, PublishError, Receive,
        Verdict,
    },
    acks::{Ack, Acks},
    gate::Gate,
    link::Link,
    topology::{self, within},
};
use crate::roles::condition::Condition;

/// How long a delivery is held back in all before it is given back to the broker, where others may have more luck.
const HELD: Duration = Duration::from_secs(60);

/// Reads one queue, and does with each message what is decided about it.
pub(super) struct Consumer;

#[derive(Clone)]
pub(super) struct ConsumerArgs {
    pub(super) link: Arc<Link>,
    pub(super) queue: InboundQueue,
    pub(super) receive: Arc<dyn Receive>,
    /// Where dead letters go.
    pub(super) publish: Arc<dyn Publish>,
}

impl Actor for Consumer {
    type Args = ConsumerArgs;

    async fn start(args: ConsumerArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let path = cx.path();
        args.link.conditions.remove(&path);
        cx.spawn_then(async move { live(&args, &path).await }, |(), _, cx| cx.stop());
        Ok(Consumer)
    }
}

/// One channel's life.
async fn live(args: &ConsumerArgs, path: &str) {
    let ConsumerArgs { link, queue, .. } = args;
    let place = [topology::consumed(*queue)];
    let (connection, channel) = topology::open(link, path, &place, |_| {}).await;
    let why = match read(args, &channel, path).await {
        Ok(never) => match never {},
        Err(why) => why,
    };
    if !connection.status().connected() {
        topology::lost(link).await;
    }
    link.say(path, Condition::Degraded(format!("its channel has died: {why}")));
    let _ = within(link.settings.call_timeout, channel.close(200, "not in use any more".into())).await;
}

/// What became of a delivery.
enum Settled {
    Done,
    Invalid,
    /// Nothing could be done with it for too long.
    GivenBack,
}

/// Reads until the channel dies, and says why it has.
async fn read(
    args: &ConsumerArgs,
    channel: &Channel,
    path: &str,
) -> Result<std::convert::Infallible, String> {
    let ConsumerArgs { link, queue, .. } = args;
    let (limit, prefetch) = (link.settings.call_timeout, link.settings.prefetch.max(1));
    // The broker delivers no more than there is room for: what is in work here, and not acknowledged, takes a place.
    within(limit, channel.basic_qos(prefetch, BasicQosOptions::default())).await?;
    let tag = format!("{} {}", link.settings.name, queue.name());
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut deliveries =
        within(limit, channel.basic_consume(queue.name().into(), tag.into(), options, arguments)).await?;
    tracing::info!(queue = queue.name(), prefetch, "the queue is read");
    link.say(path, Condition::Ready);
    let numbers = &link.numbers;
    let received = numbers.received.with_label_values(&[queue.name()]);
    let redelivered = numbers.redelivered.with_label_values(&[queue.name()]);
    let verdicts = ["done", "invalid", "later"]
        .map(|verdict| numbers.verdicts.with_label_values(&[queue.name(), verdict]));
    let gate = Gate::new(link, path);
    let mut acks = Acks::default();
    let mut in_work = FuturesUnordered::new();
    loop {
        tokio::select! {
            // What has come first: the more is in work, the more is acknowledged at once. The prefetch is its bound.
            biased;
            next = deliveries.next() => {
                let message = match next {
                    Some(Ok(message)) => message,
                    Some(Err(error)) => return Err(error.to_string()),
                    None => return Err("the broker has ended it; was the queue deleted?".to_owned()),
                };
                received.inc();
                redelivered.inc_by(message.redelivered.into());
                acks.delivered(message.delivery_tag);
                let tag = message.delivery_tag;
                let delivery = Delivery {
                    inbound: queue.inbound(),
                    body: message.data.into(),
                    redelivered: message.redelivered,
                };
                let later = &verdicts[2];
                let settling = settle(args, &gate, delivery, || later.inc());
                in_work.push(settling.map(move |settled| (tag, settled)));
            }
            Some(first) = in_work.next() => {
                let mut settled = Some(first);
                while let Some((tag, what)) = settled {
                    match what {
                        Settled::Done => {
                            verdicts[0].inc();
                            acks.done(tag);
                        }
                        Settled::Invalid => {
                            verdicts[1].inc();
                            acks.done(tag);
                        }
                        Settled::GivenBack => {
                            let options = BasicNackOptions { requeue: true, multiple: false };
                            within(limit, channel.basic_nack(tag, options)).await?;
                            acks.settled(tag);
                        }
                    }
                    // What else is done with by now goes along.
                    settled = in_work.next().now_or_never().flatten();
                }
                for Ack { tag, multiple } in acks.take() {
                    within(limit, channel.basic_ack(tag, BasicAckOptions { multiple })).await?;
                }
            }
        }
    }
}

/// Has it decided what becomes of a delivery, again and again while nothing can be.
async fn settle(args: &ConsumerArgs, gate: &Gate<'_>, mut delivery: Delivery, later: impl Fn()) -> Settled {
    let came = Instant::now();
    loop {
        gate.open().await;
        let began = Instant::now();
        let verdict = args.receive.receive(delivery.clone()).await;
        let (settled, why) = match verdict {
            Verdict::Done => (Settled::Done, None),
            Verdict::Invalid(letter) => (Settled::Invalid, put_away(args, letter).await.err()),
            Verdict::Later(why) => (Settled::GivenBack, Some(why)),
        };
        let Some(why) = why else {
            gate.passed();
            return settled;
        };
        later();
        gate.close(&why, began);
        delivery.redelivered = true;
        if came.elapsed() >= HELD {
            return Settled::GivenBack;
        }
    }
}

/// Puts a dead letter where those are.
async fn put_away(args: &ConsumerArgs, letter: bytes::Bytes) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Letter {
        correlation_id: Option<Uuid>,
    }
    let correlation_id =
        serde_json::from_slice::<Letter>(&letter).ok().and_then(|letter| letter.correlation_id);
    let id = Uuid::now_v7();
    let message = OutgoingMessage {
        destination: Destination::Queue(DEAD_LETTERS.to_owned()),
        id,
        body: letter,
        correlation_id: correlation_id.unwrap_or(id),
        passing: None,
    };
    let result = args.publish.publish(vec![message]).await.pop();
    let unanswered = || Err(PublishError::NotReady("no answer".to_owned()));
    result.unwrap_or_else(unanswered).map_err(|error| format!("a dead letter cannot be put away: {error}"))
}
