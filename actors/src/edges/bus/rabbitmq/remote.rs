//! [`RemoteConsumer`]: the actor that reads what other nodes say to this one.

use std::{convert::Infallible, sync::Arc};

use callboard_supervisors::{Actor, Context, StartError};
use futures_util::{StreamExt, stream::FuturesUnordered};
use lapin::{
    Channel, Consumer, Error,
    message::Delivery,
    options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};

use super::{
    link::Link,
    topology::{self, Place, within},
};
use crate::{edges::remote::Remote, roles::condition::Condition};

/// Messages of other nodes that are in work, those included that are refused since there are too many. Further ones wait at the broker.
const MOST_IN_WORK: usize = 2_000;
/// What the queues are called in numbers: they have the names of nodes.
const QUESTIONS: &str = "callboard.ask";
const ANSWERS: &str = "callboard.answers";

/// Reads the two queues of this process that messages of other nodes, and their answers, come in by.
///
/// A message is acknowledged before anything is done with it, and is done with at most once so. The queues are exclusive: they are gone
/// with the connection, and what was in them is, too. Each connection makes them anew.
pub(super) struct RemoteConsumer;

#[derive(Clone)]
pub(super) struct RemoteArgs {
    pub(super) link: Arc<Link>,
    pub(super) remote: Remote,
}

impl Actor for RemoteConsumer {
    type Args = RemoteArgs;

    async fn start(args: RemoteArgs, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let path = cx.path();
        args.link.conditions.remove(&path);
        cx.spawn_then(async move { live(&args, &path).await }, |(), _, cx| cx.stop());
        Ok(RemoteConsumer)
    }
}

/// One channel's life.
async fn live(RemoteArgs { link, remote }: &RemoteArgs, path: &str) {
    let deaf = Deaf(remote);
    let queues = [Remote::questions_queue(remote.node()), remote.answers_queue().to_owned()];
    let places = queues.clone().map(Place::Passing);
    let (connection, channel) = topology::open(link, path, &places, |why| deaf.because(why)).await;
    let why = match read(link, remote, &channel, path, &queues).await {
        Ok(never) => match never {},
        Err(why) => why,
    };
    deaf.because(&why);
    if !connection.status().connected() {
        topology::lost(link).await;
    }
    link.say(path, Condition::Degraded(format!("its channel has died: {why}")));
    let _ = within(link.settings.call_timeout, channel.close(200, "not in use any more".into())).await;
}

/// Says that nobody listens, however this ends.
struct Deaf<'a>(&'a Remote);

impl Deaf<'_> {
    fn because(&self, why: &str) {
        self.0.listening(Err(why.to_owned()));
    }
}

impl Drop for Deaf<'_> {
    fn drop(&mut self) {
        self.because("the connection is made anew");
    }
}

/// Reads until the channel dies, and says why it has.
async fn read(
    link: &Link,
    remote: &Remote,
    channel: &Channel,
    path: &str,
    [questions, answers]: &[String; 2],
) -> Result<Infallible, String> {
    let limit = link.settings.call_timeout;
    within(limit, channel.basic_qos(link.settings.prefetch.max(1), BasicQosOptions::default())).await?;
    // Answers first: who is asked may ask back.
    let mut answers = consume(link, channel, answers).await?;
    let mut questions = consume(link, channel, questions).await?;
    remote.listening(Ok(()));
    tracing::info!(node = remote.node(), "other nodes can be asked, and can ask this one");
    link.say(path, Condition::Ready);
    let received = [QUESTIONS, ANSWERS].map(|queue| link.numbers.received.with_label_values(&[queue]));
    let mut in_work = FuturesUnordered::new();
    loop {
        tokio::select! {
            next = answers.next() => {
                let message = take(link, channel, next).await?;
                received[1].inc();
                remote.answer(&message.data);
            }
            next = questions.next(), if in_work.len() < MOST_IN_WORK => {
                let message = take(link, channel, next).await?;
                received[0].inc();
                in_work.push(async move {
                    let reply_to = message.properties.reply_to().as_ref();
                    remote.question(&message.data, reply_to.map(|queue| queue.as_str())).await;
                });
            }
            Some(()) = in_work.next() => {}
        }
    }
}

async fn consume(link: &Link, channel: &Channel, queue: &str) -> Result<Consumer, String> {
    let tag = format!("{} {queue}", link.settings.name);
    let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
    within(link.settings.call_timeout, channel.basic_consume(queue.into(), tag.into(), options, arguments))
        .await
}

/// The next message. The broker is told that it is done with, since nobody is to be given it again.
async fn take(
    link: &Link,
    channel: &Channel,
    next: Option<Result<Delivery, Error>>,
) -> Result<Delivery, String> {
    let message = match next {
        Some(Ok(message)) => message,
        Some(Err(error)) => return Err(error.to_string()),
        None => return Err("the broker has ended it; was the queue deleted?".to_owned()),
    };
    let done = channel.basic_ack(message.delivery_tag, BasicAckOptions::default());
    within(link.settings.call_timeout, done).await?;
    Ok(message)
}
