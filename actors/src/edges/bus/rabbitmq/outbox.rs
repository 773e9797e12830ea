//! [`Outbox`]: what is to be sent.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
};

use tokio::sync::{Notify, oneshot};

use super::super::{OutgoingMessage, PublishError};

/// Of each message of a batch what became of it.
pub(super) type Answer = Vec<Result<(), PublishError>>;

/// Messages that somebody wants to have sent and waits for.
pub(super) struct Batch {
    results: RefCell<Vec<Option<Result<(), PublishError>>>>,
    left: Cell<usize>,
    answer: RefCell<Option<oneshot::Sender<Answer>>>,
}

impl Batch {
    #[cfg(test)]
    pub(super) fn new(messages: usize) -> (Rc<Self>, oneshot::Receiver<Answer>) {
        let (sender, answer) = oneshot::channel();
        (Self::answering(messages, sender), answer)
    }

    fn answering(messages: usize, answer: oneshot::Sender<Answer>) -> Rc<Self> {
        Rc::new(Batch {
            results: RefCell::new(vec![None; messages]),
            left: Cell::new(messages),
            answer: RefCell::new(Some(answer)),
        })
    }

    /// Says what became of a message; the first word counts. Whoever waits hears of all of them at once.
    pub(super) fn settle(&self, index: usize, result: Result<(), PublishError>) {
        {
            let mut results = self.results.borrow_mut();
            let Some(place @ None) = results.get_mut(index) else { return };
            *place = Some(result);
        }
        self.left.set(self.left.get() - 1);
        if self.left.get() == 0
            && let Some(answer) = self.answer.take()
        {
            // Whoever asked may have gone away.
            let _ = answer.send(self.results.take().into_iter().flatten().collect());
        }
    }

    /// Whether nobody waits for it any more.
    fn is_abandoned(&self) -> bool {
        self.answer.borrow().as_ref().is_none_or(oneshot::Sender::is_closed)
    }
}

/// A message to be sent, and whose it is.
pub(super) struct Next {
    pub(super) message: OutgoingMessage,
    pub(super) batch: Rc<Batch>,
    pub(super) index: usize,
}

struct Waiting {
    batch: Rc<Batch>,
    messages: std::iter::Enumerate<std::vec::IntoIter<OutgoingMessage>>,
}

/// What is to be sent, in order.
#[derive(Default)]
pub(super) struct Outbox {
    waiting: RefCell<VecDeque<Waiting>>,
    filled: Notify,
    /// Why nothing can be sent.
    closed: RefCell<Option<String>>,
}

impl Outbox {
    /// Takes messages, or answers at once why it does not.
    pub(super) fn put(&self, messages: Vec<OutgoingMessage>, answer: oneshot::Sender<Answer>) {
        let batch = Batch::answering(messages.len(), answer);
        let waiting = Waiting { batch, messages: messages.into_iter().enumerate() };
        match &*self.closed.borrow() {
            Some(why) => refuse(waiting, why),
            None => {
                self.waiting.borrow_mut().push_back(waiting);
                self.filled.notify_one();
            }
        }
    }

    /// The next message that somebody still waits for.
    pub(super) fn next(&self) -> Option<Next> {
        let mut waiting = self.waiting.borrow_mut();
        loop {
            let first = waiting.front_mut()?;
            if !first.batch.is_abandoned()
                && let Some((index, message)) = first.messages.next()
            {
                return Some(Next { message, batch: first.batch.clone(), index });
            }
            waiting.pop_front();
        }
    }

    /// Waits until there may be more.
    pub(super) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Nothing can be sent for this reason: says so to all who wait, and to all who come.
    pub(super) fn close(&self, why: &str) {
        *self.closed.borrow_mut() = Some(why.to_owned());
        let waiting = std::mem::take(&mut *self.waiting.borrow_mut());
        waiting.into_iter().for_each(|waiting| refuse(waiting, why));
    }

    /// What comes is sent again.
    pub(super) fn open(&self) {
        *self.closed.borrow_mut() = None;
    }
}

fn refuse(waiting: Waiting, why: &str) {
    for (index, _) in waiting.messages {
        waiting.batch.settle(index, Err(PublishError::NotReady(why.to_owned())));
    }
}
