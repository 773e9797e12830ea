//! Messages that are sent later, or again and again.

use std::time::Duration;

use tokio::time::Instant;

use crate::{
    actix::Message,
    actor::Actor,
    context::{Context, TimerHandle},
    moment::after,
    reference::Recipient,
};

impl<A: Actor> Context<A> {
    /// Sends `message` after `delay`, unless this generation ends before or the timer is cancelled. It may be to
    /// itself, `cx.send_after(delay, cx.myself(), message)`, and then it is handled in its turn as any other. A message
    /// that is not taken in the end is [undelivered](crate::Undelivered).
    pub fn send_after<M: Message>(
        &mut self,
        delay: Duration,
        to: impl Into<Recipient<M>>,
        message: M,
    ) -> TimerHandle {
        let (handle, to, due) = (TimerHandle::default(), to.into(), after(Instant::now(), delay));
        let cancel = handle.0.clone();
        self.spawn(async move {
            if cancel.sleep_until(due).await {
                to.send_or_lose(message).await;
            }
        });
        handle
    }

    /// Sends what `make` makes every `period`, the first time after one period, until this generation ends, the timer
    /// is cancelled, or the one it sends to is gone for good. The shortest period is a millisecond. While one message
    /// waits for room the next is not made; what fell due meanwhile is made up for by one, not by many. A message that
    /// is not taken in the end is [undelivered](crate::Undelivered).
    pub fn send_every<M: Message>(
        &mut self,
        period: Duration,
        to: impl Into<Recipient<M>>,
        mut make: impl FnMut() -> M + 'static,
    ) -> TimerHandle {
        let (handle, to) = (TimerHandle::default(), to.into());
        let cancel = handle.0.clone();
        let period = period.max(Duration::from_millis(1));
        self.spawn(async move {
            let mut due = after(Instant::now(), period);
            while cancel.sleep_until(due).await && to.send_or_lose(make()).await {
                due = after(due, period).max(Instant::now());
            }
        });
        handle
    }
}
