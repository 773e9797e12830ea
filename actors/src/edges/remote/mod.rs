//! Typed messages to an actor on another node, over the bus: for questions and orders among nodes that both live.
//!
//! A node *offers* actors by name ([`Remote::offer`]), each for types of message that have a name and a schema
//! ([`RemoteMessage`]); what is not offered, nobody reaches. Another node asks them by a [`RemoteRef`], which sends the message to
//! that node's queue with where to answer, and waits so long (60 s at most) and no longer.
//!
//! It is *at most once*: nothing is sent again, a message that the broker delivers twice is handled once, and one whose time is over
//! before its node takes it from the broker is not handled; nor is one that a process which stood still finds 5 s later, by the
//! clocks of both nodes. An actor whose mailbox is full refuses at once. Whoever needs more
//! keeps a command in the store, as `callboard nodes` does.
//!
//! It is checked: each question carries a fingerprint of the schemas of the message and of its answer, without their descriptions, and a
//! node that has other ones refuses it ([`RemoteError::OtherSchema`]), so two versions that understand a message differently
//! find that out before an actor does. A payload that breaks a rule of the schema (a range, a pattern) is refused, too.
//! A message, and an answer, has 1 MiB at most.
//!
//! This is the part above the port: [`Remote`] sends by a [`Publish`], and whoever reads the node's queues gives it what comes in
//! ([`Remote::question`], [`Remote::answer`]), as the [bus on RabbitMQ](crate::edges::bus) does. The queues should be the process'
//! alone, lose their messages with it, and keep none longer than [`Remote::LONGEST`].
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use callboard_actors::edges::{
//!     bus::{OutgoingMessage, Publish, PublishError},
//!     remote::{Remote, RemoteError, RemoteMessage},
//! };
//! use callboard_supervisors::Message;
//! use futures_util::future::BoxFuture;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Message, Serialize, Deserialize, JsonSchema)]
//! #[message(reply = u64)]
//! struct HowMany { queue: String }
//!
//! impl RemoteMessage for HowMany {
//!     const TYPE: &'static str = "how-many";
//! }
//!
//! # struct Away;
//! # impl Publish for Away {
//! #     fn publish(&self, messages: Vec<OutgoingMessage>) -> BoxFuture<'static, Vec<Result<(), PublishError>>> {
//! #         Box::pin(async move { messages.iter().map(|_| Err(PublishError::NotReady("away".into()))).collect() })
//! #     }
//! # }
//! # fn bus() -> Arc<dyn Publish> { Arc::new(Away) }
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! let remote = Remote::new("front", bus());
//! let counter = remote.actor::<HowMany>("w1", "counter");
//! let answer = counter.ask_within(Duration::from_secs(1), HowMany { queue: "mail".to_owned() }).await;
//! assert!(matches!(answer, Err(RemoteError::NotConnected(_))), "nobody listens for answers yet");
//! remote.listening(Ok(()));
//! let answer = counter.ask_within(Duration::from_secs(1), HowMany { queue: "mail".to_owned() }).await;
//! assert!(matches!(answer, Err(RemoteError::NotSent(_))), "the broker is away");
//! # });
//! ```

mod door;
mod error;
mod fingerprint;
mod known;
mod reference;
mod wire;

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use callboard_contracts::Timestamp;
use callboard_supervisors::{Message, Recipient};
use futures_util::future::BoxFuture;
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use uuid::Uuid;

use self::{
    door::Door,
    fingerprint::digest,
    known::Known,
    reference::AllWaiting,
    wire::{Answer, Question, Reply},
};
use crate::edges::bus::{Destination, OutgoingMessage, Passing, Publish, PublishError};

pub use self::{error::RemoteError, reference::RemoteRef};

/// Messages of others that a node may have under way at a time; further ones are refused.
const MOST_UNDER_WAY: usize = 1_000;
/// Bytes of a message at most, with what is around it.
const MAX_BODY: usize = 1024 * 1024;
/// How far the clocks of two nodes may be apart.
const CLOCKS_DIFFER: Duration = Duration::from_secs(5);
/// What a queue begins with by which messages come in.
const QUESTIONS: &str = "callboard.ask.";
/// What a queue begins with by which answers come in.
const ANSWERS: &str = "callboard.answers.";
/// Bytes of a node's name that are a part of a queue's, which may have 255.
const LONGEST_NAME: usize = 190;

/// A message that can be sent to an actor on another node.
pub trait RemoteMessage:
    Message<Result: Serialize + DeserializeOwned + JsonSchema> + Serialize + DeserializeOwned + JsonSchema
{
    /// Its name on the wire, the same on all nodes.
    const TYPE: &'static str;
}

/// What a node says to actors of others, and what it lets others say to its own. Clones are the same.
#[derive(Clone)]
pub struct Remote(Arc<Shared>);

struct Shared {
    node: Arc<str>,
    publish: Arc<dyn Publish>,
    /// By which answers come in. No other process has it, whatever its node is called.
    answers: String,
    doors: Mutex<HashMap<String, HashMap<&'static str, Arc<Door>>>>,
    waiting: AllWaiting,
    under_way: AtomicUsize,
    known: Mutex<Known>,
    listens: Mutex<Result<(), RemoteError>>,
}

impl Remote {
    /// The longest time that an answer may be waited for.
    pub const LONGEST: Duration = Duration::from_secs(60);

    /// What this node says and hears. Nothing can be asked until somebody [listens](Self::listening).
    pub fn new(node: impl Into<Arc<str>>, publish: Arc<dyn Publish>) -> Self {
        Self::with(
            node.into(),
            publish,
            RemoteError::NotConnected("the bus was not connected yet".to_owned()),
        )
    }

    /// Of a node that has no bus, and why: whatever is asked is answered with that.
    pub fn without_bus(node: impl Into<Arc<str>>, why: impl Into<String>) -> Self {
        Self::with(node.into(), Arc::new(NoBus), RemoteError::NoBus(why.into()))
    }

    fn with(node: Arc<str>, publish: Arc<dyn Publish>, deaf: RemoteError) -> Self {
        let answers = format!("{ANSWERS}{}.{}", part_of_name(&node), Uuid::new_v4().simple());
        Remote(Arc::new(Shared {
            node,
            publish,
            answers,
            doors: Mutex::default(),
            waiting: AllWaiting::default(),
            under_way: AtomicUsize::new(0),
            known: Mutex::default(),
            listens: Mutex::new(Err(deaf)),
        }))
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.0.node
    }

    /// The queue that messages to a node's actors come in by.
    pub fn questions_queue(node: &str) -> String {
        format!("{QUESTIONS}{}", part_of_name(node))
    }

    /// The queue that answers to this node come in by; this process' alone.
    pub fn answers_queue(&self) -> &str {
        &self.0.answers
    }

    /// Lets other nodes send messages of this type to an actor of this one, under this name. The latest one counts. What is not offered,
    /// nobody reaches.
    ///
    /// # Errors
    /// [`RemoteError::Malformed`]: the schema of the type is none.
    pub fn offer<M: RemoteMessage>(
        &self,
        actor: impl Into<String>,
        to: Recipient<M>,
    ) -> Result<(), RemoteError> {
        let door = Arc::new(Door::new(to)?);
        self.0.doors.lock().entry(actor.into()).or_default().insert(M::TYPE, door);
        Ok(())
    }

    /// An actor of another node, or of this one, that takes messages of this type.
    pub fn actor<M: RemoteMessage>(&self, node: impl Into<String>, actor: impl Into<String>) -> RemoteRef<M> {
        RemoteRef::new(self.clone(), node.into(), actor.into())
    }

    /// Whoever reads both queues says so, or why it does not: until then what is asked is refused with that, since no answer would
    /// come.
    pub fn listening(&self, listening: Result<(), String>) {
        *self.0.listens.lock() = listening.map_err(RemoteError::NotConnected);
    }

    /// Takes in what came by the node's [queue](Self::questions_queue): a message to one of its actors, which is answered by the queue
    /// that it names. What is none is dropped. The broker is to be told before that it is done with.
    ///
    /// It ends when the message is answered; many may be under way at a time.
    pub async fn question(&self, body: &[u8], reply_to: Option<&str>) {
        // Whoever can send here must not have us write into a queue of others.
        let Some(reply_to) = reply_to.filter(|queue| queue.starts_with(ANSWERS)) else {
            tracing::warn!(
                ?reply_to,
                "a message of another node does not say where its answer goes, and is dropped"
            );
            return;
        };
        let Some(question) = read::<Question>(body) else { return };
        let Question { id, from, actor, message_type, schema, payload, sent_at, valid_for_ms } = question;
        if !self.0.known.lock().add(id) {
            // Delivered again: the first one is answered, or was.
            return;
        }
        let limit = Duration::from_millis(valid_for_ms).min(Remote::LONGEST);
        let until = Instant::now() + limit;
        let age = Timestamp::now().saturating_since(sent_at);
        let answer = match UnderWay::begin(&self.0.under_way) {
            // This process has stood still with it, or the clocks of both nodes are far apart.
            _ if age > limit + CLOCKS_DIFFER => Answer::Refused(format!(
                "by the clock of its node it is {age:?} old, and its asker does not wait so long"
            )),
            Some(_under_way) => match self.door(&actor, &message_type) {
                Some(door) => door.ask(&schema, payload, limit).await,
                None => Answer::NotOffered,
            },
            None => Answer::Refused(format!("{MOST_UNDER_WAY} messages are under way already")),
        };
        tracing::debug!(from, actor, message_type, "another node's message is dealt with");
        let answer_with = async |answer: &Answer| {
            let reply = Reply { id, answer: serde_json::to_value(answer).unwrap_or_default() };
            let passing = Passing { until, reply_to: None };
            self.send(&from, reply_to.to_owned(), id, &reply, passing).await
        };
        let sent = match answer_with(&answer).await {
            Err(error @ RemoteError::TooLarge { .. }) => {
                answer_with(&Answer::Failed(format!("its answer is too large: {error}"))).await
            }
            sent => sent,
        };
        if let Err(error) = sent {
            tracing::debug!(from, %error, "another node's message could not be answered");
        }
    }

    /// Takes in what came by this node's queue for [answers](Self::answers_queue). What nobody waits for is dropped.
    pub fn answer(&self, body: &[u8]) {
        let Some(Reply { id, answer }) = read::<Reply>(body) else { return };
        let answer = serde_json::from_value(answer).unwrap_or_else(|error| {
            Answer::Failed(format!("its answer is of a kind that is not known here: {error}"))
        });
        // Whoever asked may have stopped waiting.
        if let Some(asker) = self.0.waiting.lock().remove(&id) {
            let _ = asker.send(answer);
        }
    }

    fn door(&self, actor: &str, message_type: &str) -> Option<Arc<Door>> {
        self.0.doors.lock().get(actor)?.get(message_type).cloned()
    }

    fn listens(&self) -> Result<(), RemoteError> {
        self.0.listens.lock().clone()
    }

    fn waiting(&self) -> &AllWaiting {
        &self.0.waiting
    }

    async fn send(
        &self,
        node: &str,
        queue: String,
        id: Uuid,
        what: &impl Serialize,
        passing: Passing,
    ) -> Result<(), RemoteError> {
        let body = serde_json::to_vec(what).map_err(|error| RemoteError::Malformed(error.to_string()))?;
        if body.len() > MAX_BODY {
            return Err(RemoteError::TooLarge { bytes: body.len(), most: MAX_BODY });
        }
        let message = OutgoingMessage {
            destination: Destination::Queue(queue),
            id: Uuid::now_v7(),
            body: Bytes::from(body),
            correlation_id: id,
            passing: Some(passing),
        };
        match self.0.publish.publish(vec![message]).await.pop() {
            Some(Ok(())) => Ok(()),
            Some(Err(PublishError::NoQueue(_))) => Err(RemoteError::NoNode(node.to_owned())),
            Some(Err(error)) => Err(RemoteError::NotSent(error)),
            None => Err(RemoteError::NotSent(PublishError::NotReady("it gave no answer".to_owned()))),
        }
    }
}

/// A node's name as a part of a queue's.
fn part_of_name(node: &str) -> String {
    if node.len() <= LONGEST_NAME { node.to_owned() } else { digest(node) }
}

/// What came in, if it is what it should be.
fn read<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if body.len() > MAX_BODY {
        tracing::warn!(bytes = body.len(), "a message of another node is too large, and is dropped");
        return None;
    }
    serde_json::from_slice(body)
        .inspect_err(|error| {
            tracing::warn!(%error, "what came by a queue of this node is no message of another, and is dropped");
        })
        .ok()
}

/// A message of another node that is under way.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn begin(all: &'a AtomicUsize) -> Option<Self> {
        let counted = UnderWay(all);
        (all.fetch_add(1, SeqCst) < MOST_UNDER_WAY).then_some(counted)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// Sends nothing.
struct NoBus;

impl Publish for NoBus {
    fn publish(&self, messages: Vec<OutgoingMessage>) -> BoxFuture<'static, Vec<Result<(), PublishError>>> {
        let none = || Err(PublishError::NotReady("there is no bus".to_owned()));
        Box::pin(std::future::ready(messages.iter().map(|_| none()).collect()))
    }
}
