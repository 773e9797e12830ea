//! Typed messages to an actor on another node, over the bus: for questions and orders among nodes that both live.
//!
//! A node *exposes* actors by name ([`Remote::expose`]), each for types of message that have a name and a schema
//! ([`RemoteMessage`]). Another node asks them by a [`RemoteRef`], which sends the message to that node's queue with where to
//! answer, and waits so long and no longer. It is *at most once*: nothing is sent again, and a message that the broker
//! delivers twice is handled once. Whoever needs more keeps a command in the store, as `callboard nodes` does. A payload that
//! does not fit the schema that the exposing node has for the type is refused and reaches no actor, so two versions that
//! understand a message differently find that out.
//!
//! This is the part above the port: [`Remote`] sends by a [`Publish`], and whoever consumes the node's queue
//! ([`Remote::queue`]) gives it what comes in ([`Remote::deliver`]). The queue should be the node's alone, lose its messages
//! with the node, and keep none longer than [`Remote::LONGEST`].
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
//! assert!(matches!(answer, Err(RemoteError::NotSent(_))), "the broker is away");
//! # });
//! ```

mod door;
mod wire;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    marker::PhantomData,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use callboard_supervisors::{Message, Recipient};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use self::{
    door::Door,
    wire::{Answer, Body, Envelope, Question},
};
use crate::edges::bus::{Destination, OutgoingMessage, Publish, PublishError};

/// Answers that a node may wait for at a time.
const MOST_WAITING: usize = 10_000;
/// Messages of others that a node may have under way at a time.
const MOST_UNDER_WAY: usize = 1_000;
/// Messages that were handled and are known again.
const MOST_KNOWN: usize = 10_000;
/// Bytes of a message at most.
const MAX_BODY: usize = 1024 * 1024;

/// A message that can be sent to an actor on another node.
pub trait RemoteMessage:
    Message<Result: Serialize + DeserializeOwned> + Serialize + DeserializeOwned + JsonSchema
{
    /// Its name on the wire, the same on all nodes.
    const TYPE: &'static str;
}

/// Why an actor on another node gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// It was not sent.
    #[error("the message was not sent: {0}")]
    NotSent(#[from] PublishError),
    /// It was not sent, since so many answers are waited for already.
    #[error("{0} answers are waited for already")]
    Busy(usize),
    /// The message, or its answer, is nothing that can be sent.
    #[error("the message cannot be sent: {0}")]
    Malformed(String),
    /// No answer came in time. The message may have been handled, or may be yet.
    #[error("no answer within {0:?}; the message may have been handled")]
    TimedOut(Duration),
    /// The other node did not give it to the actor: it has no such actor, or the message does not fit its schema.
    #[error("the other node refused the message: {0}")]
    Refused(String),
    /// The actor gave no answer.
    #[error("the actor did not answer: {0}")]
    Failed(String),
}

/// What a node says to actors of others, and what it lets others say to its own. Clones are the same.
#[derive(Clone)]
pub struct Remote(Arc<Shared>);

struct Shared {
    node: Arc<str>,
    publish: Arc<dyn Publish>,
    doors: Mutex<HashMap<(String, &'static str), Arc<Door>>>,
    waiting: Mutex<HashMap<Uuid, oneshot::Sender<Answer>>>,
    under_way: AtomicUsize,
    known: Mutex<Known>,
}

/// Messages that were handled, as many as are remembered.
#[derive(Default)]
struct Known {
    ids: HashSet<Uuid>,
    order: VecDeque<Uuid>,
}

impl Known {
    /// Whether it is new.
    fn add(&mut self, id: Uuid) -> bool {
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > MOST_KNOWN
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

impl Remote {
    /// The longest time that an answer may be waited for.
    pub const LONGEST: Duration = Duration::from_secs(60);

    /// What this node says and hears.
    pub fn new(node: impl Into<Arc<str>>, publish: Arc<dyn Publish>) -> Self {
        Remote(Arc::new(Shared {
            node: node.into(),
            publish,
            doors: Mutex::default(),
            waiting: Mutex::default(),
            under_way: AtomicUsize::new(0),
            known: Mutex::default(),
        }))
    }

    /// The queue that a node's messages come in by.
    pub fn queue(node: &str) -> String {
        format!("callboard.remote.{node}")
    }

    /// Lets other nodes send messages of this type to an actor of this one, under this name. The latest one counts.
    ///
    /// # Errors
    /// The schema of the type is none.
    pub fn expose<M: RemoteMessage>(
        &self,
        actor: impl Into<String>,
        to: Recipient<M>,
    ) -> Result<(), RemoteError> {
        let door = Arc::new(Door::new(to)?);
        self.0.doors.lock().insert((actor.into(), M::TYPE), door);
        Ok(())
    }

    /// An actor of another node, or of this one, that takes messages of this type.
    pub fn actor<M: RemoteMessage>(&self, node: impl Into<String>, actor: impl Into<String>) -> RemoteRef<M> {
        RemoteRef { remote: self.clone(), node: node.into(), actor: actor.into(), message: PhantomData }
    }

    /// Takes in what came by the node's [`queue`](Self::queue): a message to one of its actors, which is answered, or an answer
    /// that somebody here waits for. What is neither is dropped. The broker may be told that it is done with at once.
    ///
    /// It ends when the message is answered; many may be under way at a time.
    pub async fn deliver(&self, body: &[u8]) {
        if body.len() > MAX_BODY {
            tracing::warn!(bytes = body.len(), "a message of another node is too large, and is dropped");
            return;
        }
        let envelope = match serde_json::from_slice::<Envelope>(body) {
            Ok(envelope) => envelope,
            Err(error) => {
                tracing::warn!(%error, "what came by the queue of this node is no message of another, and is dropped");
                return;
            }
        };
        match envelope.body {
            Body::Answer(answer) => {
                // Whoever asked may have stopped waiting.
                if let Some(asker) = self.0.waiting.lock().remove(&envelope.id) {
                    let _ = asker.send(answer);
                }
            }
            Body::Question(question) => self.answer(envelope.id, question).await,
        }
    }

    async fn answer(&self, id: Uuid, question: Question) {
        if !self.0.known.lock().add(id) {
            // Delivered again: the first one is answered, or was.
            return;
        }
        let to = question.answer_to.clone();
        let answer = match UnderWay::begin(&self.0.under_way) {
            Some(_under_way) => self.handle(question).await,
            None => Answer::Refused(format!("{MOST_UNDER_WAY} messages are under way already")),
        };
        let envelope = Envelope { id, body: Body::Answer(answer) };
        if let Err(error) = self.send(&to, id, &envelope).await {
            tracing::debug!(node = to, %error, "another node's question could not be answered");
        }
    }

    async fn handle(&self, question: Question) -> Answer {
        let Question { actor, message_type, payload, valid_for_ms, .. } = question;
        let door = {
            let doors = self.0.doors.lock();
            let found = doors.iter().find(|((name, of), _)| *name == actor && *of == message_type);
            found.map(|(_, door)| door.clone())
        };
        match door {
            Some(door) => {
                let limit = Duration::from_millis(valid_for_ms).min(Remote::LONGEST);
                door.ask(payload, limit).await
            }
            None => {
                let node = &self.0.node;
                Answer::Refused(format!(
                    "node {node:?} has no actor {actor:?} for messages of type {message_type:?}"
                ))
            }
        }
    }

    async fn send(&self, node: &str, id: Uuid, envelope: &Envelope) -> Result<(), RemoteError> {
        let body = serde_json::to_vec(envelope).map_err(|error| RemoteError::Malformed(error.to_string()))?;
        if body.len() > MAX_BODY {
            return Err(RemoteError::Malformed(format!(
                "it has {} bytes, and may have {MAX_BODY}",
                body.len()
            )));
        }
        let message = OutgoingMessage {
            destination: Destination::Queue(Remote::queue(node)),
            id: Uuid::now_v7(),
            body: Bytes::from(body),
            correlation_id: id,
        };
        match self.0.publish.publish(vec![message]).await.pop() {
            Some(sent) => Ok(sent?),
            None => Err(PublishError::NotReady("it gave no answer".to_owned()).into()),
        }
    }
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

/// The address of an actor on another node. It is good whether or not that node lives.
pub struct RemoteRef<M> {
    remote: Remote,
    node: String,
    actor: String,
    message: PhantomData<fn(M)>,
}

impl<M> Clone for RemoteRef<M> {
    fn clone(&self) -> Self {
        RemoteRef {
            remote: self.remote.clone(),
            node: self.node.clone(),
            actor: self.actor.clone(),
            message: PhantomData,
        }
    }
}

/// An answer that is waited for. Dropped, it is waited for no more.
struct Waiting<'a> {
    all: &'a Mutex<HashMap<Uuid, oneshot::Sender<Answer>>>,
    id: Uuid,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl<M: RemoteMessage> RemoteRef<M> {
    /// Sends the message and waits for the answer, so long (at most [`Remote::LONGEST`]) and no longer. It is sent once.
    ///
    /// # Errors
    /// See [`RemoteError`]. After [`RemoteError::TimedOut`] it is not known whether the message was handled.
    pub async fn ask_within(&self, limit: Duration, message: M) -> Result<M::Result, RemoteError> {
        let limit = limit.min(Remote::LONGEST);
        let shared = &self.remote.0;
        let payload =
            serde_json::to_value(message).map_err(|error| RemoteError::Malformed(error.to_string()))?;
        let id = Uuid::now_v7();
        let (asker, answered) = oneshot::channel();
        {
            let mut waiting = shared.waiting.lock();
            if waiting.len() >= MOST_WAITING {
                return Err(RemoteError::Busy(waiting.len()));
            }
            waiting.insert(id, asker);
        }
        let _waiting = Waiting { all: &shared.waiting, id };
        let question = Question {
            answer_to: shared.node.to_string(),
            actor: self.actor.clone(),
            message_type: M::TYPE.to_owned(),
            payload,
            valid_for_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        };
        let envelope = Envelope { id, body: Body::Question(question) };
        let asked = async {
            self.remote.send(&self.node, id, &envelope).await?;
            // The sender is in the map until it is answered, or dropped with this.
            answered.await.map_err(|_| RemoteError::TimedOut(limit))
        };
        match timeout(limit, asked).await.unwrap_or(Err(RemoteError::TimedOut(limit)))? {
            Answer::Value(value) => serde_json::from_value(value)
                .map_err(|error| RemoteError::Malformed(format!("its answer: {error}"))),
            Answer::Refused(why) => Err(RemoteError::Refused(why)),
            Answer::Failed(why) => Err(RemoteError::Failed(why)),
        }
    }
}
