//! Answers that end with the session that they were asked for by.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use actix_web::{
    body::{BodySize, BoxBody, MessageBody},
    web::Bytes,
};
use futures_util::{FutureExt, future::LocalBoxFuture};
use tokio::time::{Instant, sleep_until};

use super::Open;

impl Open {
    /// The answer, which ends with the session. One whose length is known is sent as it is: it is there already.
    pub(crate) fn bound(self, body: BoxBody) -> BoxBody {
        if body.size() != BodySize::Stream {
            return body;
        }
        BoxBody::new(WhileOpen { body, over: self.over().boxed_local() })
    }

    /// Waits until it has ended.
    async fn over(mut self) {
        let ended = async { while self.alive.changed().await.is_ok() {} };
        tokio::select! {
            () = ended => {}
            () = sleep_until(Instant::from_std(self.until)) => {}
        }
    }
}

struct WhileOpen {
    body: BoxBody,
    over: LocalBoxFuture<'static, ()>,
}

impl MessageBody for WhileOpen {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.over.poll_unpin(cx).is_ready() {
            return Poll::Ready(None);
        }
        let next = ready!(Pin::new(&mut self.body).poll_next(cx));
        Poll::Ready(next)
    }
}
