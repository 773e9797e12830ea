//! [`RemoteError`].

use std::time::Duration;

use crate::edges::bus::PublishError;

/// Why an actor on another node gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// This node has no bus, and asks nobody.
    #[error("this node has no bus: {0}")]
    NoBus(String),
    /// This node cannot be answered at the moment. The message was not sent.
    #[error("this node is not connected to the bus: {0}")]
    NotConnected(String),
    /// The message came back: there is no such node, or it is not connected to the bus.
    #[error("there is no node {0:?}, or it is not connected to the bus")]
    NoNode(String),
    /// The broker has not taken the message, or has not said so.
    #[error("the message was not sent: {0}")]
    NotSent(#[source] PublishError),
    /// It was not sent, since so many answers are waited for already.
    #[error("{0} answers are waited for already")]
    Busy(usize),
    /// It was not sent, since it is too large.
    #[error("the message has {bytes} bytes, and may have {most}")]
    TooLarge {
        /// Bytes of it, with what is around it.
        bytes: usize,
        /// Bytes that it may have.
        most: usize,
    },
    /// The message, or its answer, is nothing that can be sent or read.
    #[error("the message cannot be sent, or its answer not read: {0}")]
    Malformed(String),
    /// No answer came in time. The message may have been handled, or may be yet.
    #[error("no answer within {0:?}; the message may have been handled")]
    TimedOut(Duration),
    /// The other node offers no such actor for messages of this type. The message was not handled.
    #[error("node {node:?} offers no actor {actor:?} for messages of type {message_type:?}")]
    NotOffered {
        /// The node.
        node: String,
        /// The actor's name.
        actor: String,
        /// The type's name.
        message_type: String,
    },
    /// The other node knows another form of the message or of its answer, so it may be of another version. The message was not
    /// handled.
    #[error(
        "node {node:?} knows messages of type {message_type:?} in another form: is it of another version?"
    )]
    OtherSchema {
        /// The node.
        node: String,
        /// The type's name.
        message_type: String,
    },
    /// The other node did not give the message to the actor: it breaks a rule of its schema, the actor's mailbox is full, or the node has
    /// too much to do. It was not handled.
    #[error("the other node refused the message: {0}")]
    Refused(String),
    /// The actor gave no answer: it panicked, or stopped, or its answer cannot be sent.
    #[error("the actor did not answer: {0}")]
    Failed(String),
}
