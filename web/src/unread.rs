//! Bodies of requests that were answered before they were read.
//!
//! Of a body in chunks that was let go before its end, the server would read on and throw away for as long as the client
//! sends. One that is still held when the answer has ended makes it close the connection instead, after a moment in which
//! the client can take the answer. So every body is held until then, whoever has stopped reading it, and why.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_web::{
    HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    web::Bytes,
};
use futures_util::{Stream, StreamExt};

/// The body of a request, which is shared with its answer.
#[derive(Clone)]
pub(crate) struct Held(Rc<RefCell<Payload>>);

impl Held {
    /// Takes hold of a request's body, if it has one; who reads it notices nothing.
    pub(crate) fn of(request: &mut ServiceRequest) -> Option<Held> {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return None;
        }
        let held = Held(Rc::new(RefCell::new(payload)));
        request.set_payload(Payload::Stream { payload: Box::pin(held.clone()) });
        Some(held)
    }

    /// The answer, with which the hold ends.
    pub(crate) fn until_the_end_of(self, answer: BoxBody) -> BoxBody {
        BoxBody::new(Answer { body: answer, _held: self })
    }
}

impl Stream for Held {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(cx)
    }
}

/// An answer that holds the body of its request.
struct Answer {
    body: BoxBody,
    _held: Held,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
