//! What a stream of submissions answers with.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::web::{Bytes, Payload};
use futures_util::Stream;
use tokio::sync::mpsc;

use super::lines::Lines;

/// What is left of a request's body when nothing more is to be read of it.
pub(super) type Unread = Rc<RefCell<Option<Lines<Payload>>>>;

/// The answers, and at their end what the client has not said yet.
///
/// Of a body that was let go before its end the server would read on, and throw away, for as long as the client sends. One that
/// is still held when the answers end has the server close the connection instead, after a moment in which the client can
/// take what it was sent.
pub(super) struct Answers {
    taken: mpsc::Receiver<Bytes>,
    _unread: Unread,
}

impl Answers {
    pub(super) fn new(taken: mpsc::Receiver<Bytes>, unread: Unread) -> Self {
        Answers { taken, _unread: unread }
    }
}

impl Stream for Answers {
    type Item = Result<Bytes, actix_web::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.taken.poll_recv(cx).map(|bytes| bytes.map(Ok))
    }
}
