//! [`Window`]: what was sent and is not confirmed yet.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::time::Instant;
use uuid::Uuid;

use super::{super::PublishError, outbox::Batch};

/// How many places of settled messages may stand behind one that is not, in windows.
const BEHIND: usize = 4;

/// What the broker says of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Confirm {
    /// It is safe, or was returned before. The client library hands a returned message over with the next confirmation of the
    /// channel, which need not be its own, so that is only told here: the id of one that was returned.
    Taken { returned: Option<Uuid> },
    /// It was refused.
    Refused { returned: Option<Uuid> },
    /// The channel has died.
    Dead(String),
}

/// A message that was sent.
struct Sent<C> {
    id: Uuid,
    /// The queue, of one that is to be returned if there is no such queue.
    queue: Option<String>,
    at: Instant,
    /// `None`: it is settled.
    confirm: Option<C>,
    /// What the broker has said.
    said: Option<Confirm>,
    is_returned: bool,
    batch: Rc<Batch>,
    index: usize,
}

/// The messages of a channel that were sent and are not settled, in the order of sending.
pub(super) struct Window<C> {
    limit: usize,
    sent: VecDeque<Sent<C>>,
    /// Those of them that are not settled.
    open: usize,
    /// Those of them that may be returned.
    returnable: usize,
}

/// What became of the messages that a sweep settled.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Swept {
    pub(super) confirmed: u64,
    pub(super) returned: u64,
    pub(super) refused: u64,
    /// Why the channel has died, if it has.
    pub(super) dead: Option<String>,
}

impl<C: Future<Output = Confirm> + Unpin> Window<C> {
    pub(super) fn new(limit: usize) -> Self {
        Window { limit: limit.max(1), sent: VecDeque::new(), open: 0, returnable: 0 }
    }

    pub(super) fn has_room(&self) -> bool {
        self.open < self.limit && self.sent.len() < BEHIND * self.limit
    }

    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// When the oldest was sent.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.sent.front().map(|sent| sent.at)
    }

    /// Takes a message that is to be sent: `confirm` does that when it is polled first, which is now, and then waits.
    pub(super) async fn push(
        &mut self,
        id: Uuid,
        queue: Option<String>,
        mut confirm: C,
        batch: Rc<Batch>,
        index: usize,
    ) {
        let said = poll_fn(|task| Poll::Ready(Pin::new(&mut confirm).poll(task))).await;
        let (confirm, said) = match said {
            Poll::Ready(said) => (None, Some(said)),
            Poll::Pending => (Some(confirm), None),
        };
        self.open += 1;
        self.returnable += usize::from(queue.is_some());
        let at = Instant::now();
        self.sent.push_back(Sent { id, queue, at, confirm, said, is_returned: false, batch, index });
    }

    /// Waits until the oldest is settled, and settles what else is. What the broker confirms before an older one is found by
    /// [`look`](Self::look), too.
    pub(super) async fn settled(&mut self) -> Swept {
        poll_fn(|task| self.poll(task, false)).await
    }

    /// Settles all that can be, in whatever order, if anything can.
    pub(super) async fn look(&mut self) -> Option<Swept> {
        poll_fn(|task| match self.poll(task, true) {
            Poll::Ready(swept) => Poll::Ready(Some(swept)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    fn poll(&mut self, task: &mut Context<'_>, whole: bool) -> Poll<Swept> {
        let mut swept = Swept::default();
        let mut returned = Vec::new();
        let mut any = false;
        for sent in &mut self.sent {
            let Some(confirm) = &mut sent.confirm else {
                any |= sent.said.is_some();
                continue;
            };
            let Poll::Ready(said) = Pin::new(confirm).poll(task) else {
                // Word of a returned message may have come with the confirmation of a later one, and then it is there
                // before its own confirmation is.
                if whole || any && self.returnable > 0 { continue } else { break }
            };
            any = true;
            sent.confirm = None;
            if let Confirm::Taken { returned: Some(id) } | Confirm::Refused { returned: Some(id) } = &said {
                returned.push(*id);
            }
            sent.said = Some(said);
        }
        if !any {
            return Poll::Pending;
        }
        for id in returned {
            // The same event may have gone to the topic exchange, too, which returns nothing.
            let found =
                self.sent.iter_mut().find(|sent| sent.id == id && sent.queue.is_some() && !sent.is_returned);
            match found {
                Some(sent) => sent.is_returned = true,
                None => tracing::warn!(%id, "the broker has returned a message that was not sent"),
            }
        }
        for sent in &mut self.sent {
            let Some(said) = sent.said.take() else { continue };
            self.open -= 1;
            self.returnable -= usize::from(sent.queue.is_some());
            let result = match (said, &sent.queue) {
                (Confirm::Taken { .. }, Some(queue)) if sent.is_returned => {
                    swept.returned += 1;
                    Err(PublishError::NoQueue(queue.clone()))
                }
                (Confirm::Taken { .. }, _) => {
                    swept.confirmed += 1;
                    Ok(())
                }
                (Confirm::Refused { .. }, _) => {
                    swept.refused += 1;
                    Err(PublishError::Refused("it could not be stored".to_owned()))
                }
                (Confirm::Dead(why), _) => {
                    swept.dead = Some(why.clone());
                    Err(PublishError::NotReady(why))
                }
            };
            sent.batch.settle(sent.index, result);
        }
        while self.sent.front().is_some_and(|sent| sent.confirm.is_none()) {
            self.sent.pop_front();
        }
        Poll::Ready(swept)
    }

    /// Says to those who wait that it is not known what becomes of what is open, but goes on waiting itself; how many that were.
    pub(super) fn expire(&mut self, why: &PublishError) -> usize {
        let now = Instant::now();
        let open = self.sent.iter_mut().filter(|sent| sent.confirm.is_some());
        open.map(|sent| {
            sent.at = now;
            sent.batch.settle(sent.index, Err(why.clone()));
        })
        .count()
    }

    /// Says of all that is open that it is not known what becomes of it; how many that were.
    pub(super) fn give_up(&mut self, why: &PublishError) -> usize {
        let open: Vec<_> = self.sent.drain(..).filter(|sent| sent.confirm.is_some()).collect();
        (self.open, self.returnable) = (0, 0);
        for sent in &open {
            sent.batch.settle(sent.index, Err(why.clone()));
        }
        open.len()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;
    use crate::edges::bus::rabbitmq::outbox::Answer;

    type Confirming = futures_util::future::BoxFuture<'static, Confirm>;

    /// A window with messages, each to be confirmed by its sender.
    struct Stage {
        window: Window<Confirming>,
        confirms: Vec<Option<oneshot::Sender<Confirm>>>,
        ids: Vec<Uuid>,
        answer: oneshot::Receiver<Answer>,
    }

    async fn stage(queues: &[Option<&str>]) -> Stage {
        let (batch, answer) = Batch::new(queues.len());
        let mut stage = Stage { window: Window::new(3), confirms: Vec::new(), ids: Vec::new(), answer };
        for (index, queue) in queues.iter().enumerate() {
            let (sender, confirm) = oneshot::channel();
            let confirm = confirm.map(|said| said.unwrap_or(Confirm::Dead("dropped".into()))).boxed();
            let id = Uuid::now_v7();
            stage.window.push(id, queue.map(str::to_owned), confirm, batch.clone(), index).await;
            stage.confirms.push(Some(sender));
            stage.ids.push(id);
        }
        stage
    }

    impl Stage {
        fn confirm(&mut self, index: usize, confirm: Confirm) {
            self.confirms[index].take().unwrap().send(confirm).unwrap();
        }

        fn sweep(&mut self) -> Option<Swept> {
            self.window.settled().now_or_never()
        }

        async fn look(&mut self) -> Option<Swept> {
            self.window.look().await
        }

        fn answer(&mut self) -> Vec<String> {
            let answer = self.answer.try_recv().expect("all is settled");
            answer
                .into_iter()
                .map(|result| result.map_or_else(|error| error.to_string(), |()| "ok".into()))
                .collect()
        }
    }

    const TAKEN: Confirm = Confirm::Taken { returned: None };

    #[tokio::test]
    async fn places_are_free_again_when_the_broker_has_confirmed_in_whatever_order() {
        let mut stage = stage(&[Some("a"), Some("a"), Some("a")]).await;
        assert!(!stage.window.has_room() && stage.sweep().is_none());
        stage.confirm(1, TAKEN);
        assert!(stage.sweep().is_none(), "only the oldest is waited for");
        assert_eq!(stage.look().await, Some(Swept { confirmed: 1, ..Swept::default() }));
        assert!(stage.window.has_room());
        assert_eq!((stage.window.open(), stage.window.sent.len()), (2, 3));
        stage.confirm(0, Confirm::Refused { returned: None });
        stage.confirm(2, TAKEN);
        assert_eq!(stage.sweep(), Some(Swept { confirmed: 1, refused: 1, ..Swept::default() }));
        assert_eq!((stage.window.open(), stage.window.sent.len()), (0, 0));
        assert_eq!(
            stage.answer(),
            ["the broker has refused the message: it could not be stored", "ok", "ok"]
        );
    }

    #[tokio::test]
    async fn a_returned_message_is_told_whose_confirmation_ever_it_comes_with() {
        // With that of an earlier one, and of a later one.
        for carrier in [0, 1, 2] {
            let mut stage = stage(&[None, Some("gone"), Some("there")]).await;
            let returned = Some(stage.ids[1]);
            for index in 0..3 {
                let returned = returned.filter(|_| index == carrier);
                stage.confirm(index, Confirm::Taken { returned });
            }
            assert_eq!(stage.sweep(), Some(Swept { confirmed: 2, returned: 1, ..Swept::default() }));
            assert_eq!(stage.answer(), ["ok", "the broker has no queue gone", "ok"]);
        }
    }

    #[tokio::test]
    async fn what_is_open_when_the_channel_dies_is_told_to_be_unknown() {
        let mut stage = stage(&[None, None, None]).await;
        stage.confirm(0, TAKEN);
        stage.confirm(1, Confirm::Dead("channel closed".into()));
        let swept = stage.sweep().unwrap();
        assert_eq!((swept.confirmed, swept.dead.as_deref()), (1, Some("channel closed")));
        assert_eq!(stage.window.give_up(&PublishError::NotReady("channel closed".into())), 1);
        let dead = "the broker is not ready: channel closed";
        assert_eq!(stage.answer(), ["ok", dead, dead]);
        assert!(stage.window.oldest().is_none());
    }
}
