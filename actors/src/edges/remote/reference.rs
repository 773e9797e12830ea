//! [`RemoteRef`]: asks.

use std::{
    collections::HashMap,
    fmt,
    marker::PhantomData,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use callboard_contracts::Timestamp;
use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::{sync::oneshot, time::timeout};
use uuid::Uuid;

use super::{
    Remote, RemoteError, RemoteMessage,
    fingerprint::fingerprint,
    wire::{Answer, Question},
};
use crate::edges::bus::Passing;

/// Answers that a node may wait for at a time.
const MOST_WAITING: usize = 10_000;
/// How long an ask waits at most, unless its limit is said; as for actors of this node.
const ASK_LIMIT: Duration = Duration::from_secs(5);

/// The address of an actor on another node. It is good whether or not that node lives. Cheap to clone.
pub struct RemoteRef<M> {
    remote: Remote,
    node: String,
    actor: String,
    /// The fingerprint of the message's schema.
    schema: Arc<str>,
    message: PhantomData<fn(M)>,
}

impl<M> Clone for RemoteRef<M> {
    fn clone(&self) -> Self {
        RemoteRef {
            remote: self.remote.clone(),
            node: self.node.clone(),
            actor: self.actor.clone(),
            schema: self.schema.clone(),
            message: PhantomData,
        }
    }
}

impl<M: RemoteMessage> fmt::Debug for RemoteRef<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteRef({:?} of {:?}, {:?})", self.actor, self.node, M::TYPE)
    }
}

/// Those who wait for answers, by the question.
pub(super) type AllWaiting = Mutex<HashMap<Uuid, oneshot::Sender<Answer>>>;

/// An answer that is waited for. Dropped, it is waited for no more.
struct Waiting<'a> {
    all: &'a AllWaiting,
    id: Uuid,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.id);
    }
}

impl<M: RemoteMessage> RemoteRef<M> {
    pub(super) fn new(remote: Remote, node: String, actor: String) -> Self {
        RemoteRef { remote, node, actor, schema: fingerprint::<M>().into(), message: PhantomData }
    }

    /// As [`ask_within`](Self::ask_within): 5 s at most.
    ///
    /// # Errors
    /// See [`RemoteError`].
    pub async fn ask(&self, message: M) -> Result<M::Result, RemoteError> {
        self.ask_within(ASK_LIMIT, message).await
    }

    /// Sends the message and waits for the answer, so long (at most [`Remote::LONGEST`]) and no longer. It is sent once.
    ///
    /// Dropping the future ends the waiting; the message may be handled all the same.
    ///
    /// # Errors
    /// See [`RemoteError`]. After [`RemoteError::TimedOut`], and [`RemoteError::NotSent`] for a message that the broker did not confirm, it
    /// is not known whether the message was handled.
    pub async fn ask_within(&self, limit: Duration, message: M) -> Result<M::Result, RemoteError> {
        let limit = limit.min(Remote::LONGEST);
        let remote = &self.remote;
        remote.listens()?;
        let payload =
            serde_json::to_value(message).map_err(|error| RemoteError::Malformed(error.to_string()))?;
        let id = Uuid::now_v7();
        let question = Question {
            id,
            from: remote.node().to_owned(),
            actor: self.actor.clone(),
            message_type: M::TYPE.to_owned(),
            schema: self.schema.to_string(),
            payload,
            sent_at: Timestamp::now(),
            valid_for_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
        };
        let (asker, answered) = oneshot::channel();
        let all = remote.waiting();
        {
            let mut waiting = all.lock();
            if waiting.len() >= MOST_WAITING {
                return Err(RemoteError::Busy(waiting.len()));
            }
            waiting.insert(id, asker);
        }
        let _waiting = Waiting { all, id };
        let passing =
            Passing { until: Instant::now() + limit, reply_to: Some(remote.answers_queue().to_owned()) };
        let send = remote.send(&self.node, Remote::questions_queue(&self.node), id, &question, passing);
        // The answer may be here before the broker has confirmed the question.
        let asked = async {
            match select(answered, pin!(send)).await {
                Either::Left((answer, _)) => answer,
                Either::Right((sent, answered)) => {
                    sent?;
                    answered.await
                }
            }
            // The sender is in the map until it is answered, or dropped with this.
            .map_err(|_| RemoteError::TimedOut(limit))
        };
        match timeout(limit, asked).await.unwrap_or(Err(RemoteError::TimedOut(limit)))? {
            Answer::Value(value) => serde_json::from_value(value)
                .map_err(|error| RemoteError::Malformed(format!("its answer: {error}"))),
            Answer::NotOffered => Err(RemoteError::NotOffered {
                node: self.node.clone(),
                actor: self.actor.clone(),
                message_type: M::TYPE.to_owned(),
            }),
            Answer::OtherSchema => {
                Err(RemoteError::OtherSchema { node: self.node.clone(), message_type: M::TYPE.to_owned() })
            }
            Answer::Refused(why) => Err(RemoteError::Refused(why)),
            Answer::Failed(why) => Err(RemoteError::Failed(why)),
        }
    }
}
