//! One message to all: broadcast, and scatter and gather.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context as Task, Poll},
    time::Duration,
};

use crate::{
    actix::Message,
    core::bury,
    envelope::Sealed,
    error::{AskError, SendError},
    group::Copies,
    meta::ActorId,
    pool::Router,
    reference::{Recipient, within},
    reply::Answer,
    waiting::is_asking,
};

/// What became of a broadcast.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Clone, Message)]
/// # struct Price(u32);
/// # struct Shop;
/// # impl Actor for Shop {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Shop) }
/// # }
/// # impl PlainHandler<Price> for Shop {
/// #     type Reply = ();
/// #     fn handle(&mut self, _: Price, _: &mut Context<Self>) {}
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let specs = ["a", "b"].map(|name| ChildSpec::<Shop>::new(name, ()).mailbox(MailboxSpec::bounded(1)));
/// let shops = specs.each_ref().map(ChildSpec::actor_ref);
/// let all = Router::new(shops.clone().map(|shop| shop.recipient()), Routing::round_robin());
/// shops[0].tell(Price(1))?; // does not run yet, and is full now
/// let Broadcast { delivered, full, stopped, .. } = all.broadcast(Price(2));
/// assert_eq!((delivered, full, stopped), (1, 1, 0));
/// # let root = specs.into_iter().fold(SupervisorSpec::new("root"), SupervisorSpec::child);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Broadcast {
    /// Members that took it.
    pub delivered: usize,
    /// Members that had no room.
    pub full: usize,
    /// Members that are gone for good.
    pub stopped: usize,
}

/// One member's answer, or why there is none.
type Asked<M> = (ActorId, Result<<M as ::actix::Message>::Result, AskError>);

enum Waiting<R> {
    For(Answer<R>),
    Done(Result<R, AskError>),
}

/// Questions that are under way.
struct Answers<R>(Vec<(ActorId, Waiting<R>)>);

impl<R> Answers<R> {
    /// Looks at all of them.
    fn poll(&mut self, task: &mut Task<'_>) {
        for (_, waiting) in &mut self.0 {
            if let Waiting::For(answer) = waiting
                && let Poll::Ready(answered) = Pin::new(answer).poll(task)
            {
                *waiting = Waiting::Done(answered.unwrap_or(Err(AskError::Stopped)));
            }
        }
    }

    fn take_first(&mut self) -> Option<R> {
        let good = |(_, waiting): &(ActorId, Waiting<R>)| matches!(waiting, Waiting::Done(Ok(_)));
        let index = self.0.iter().position(good)?;
        match self.0.swap_remove(index) {
            (_, Waiting::Done(answer)) => answer.ok(),
            (_, Waiting::For(_)) => None,
        }
    }

    fn all_done(&self) -> bool {
        self.0.iter().all(|(_, waiting)| matches!(waiting, Waiting::Done(_)))
    }

    fn last_error(&self) -> Option<AskError> {
        self.0.iter().rev().find_map(|(_, waiting)| match waiting {
            Waiting::Done(Err(error)) => Some(*error),
            _ => None,
        })
    }
}

/// Answers that came after all are user data; they go one by one.
impl<R> Drop for Answers<R> {
    fn drop(&mut self) {
        self.0.drain(..).for_each(bury);
    }
}

impl<M: Message + Clone> Router<M> {
    /// Sends a clone to every member, now. Never waits: those that have no room are left out. The routing does not
    /// matter.
    ///
    /// A panic of `Clone` reaches the caller; those that come after do not get the message then.
    pub fn broadcast(&self, message: M) -> Broadcast {
        let mut done = Broadcast::default();
        self.each(message, |member, message| match member.tell(message) {
            Ok(()) => done.delivered += 1,
            Err(SendError::Full(message)) => {
                done.full += 1;
                bury(message);
            }
            Err(SendError::Stopped(message)) => {
                done.stopped += 1;
                bury(message);
            }
        });
        done
    }

    fn each(&self, message: M, mut f: impl FnMut(&Recipient<M>, M)) {
        let table = self.table();
        let mut copies = Copies::new(message, table.members.len());
        for member in &table.members {
            let Some(copy) = copies.next() else { break };
            f(&member.of, copy);
        }
    }

    /// Asks all that live and have room.
    fn scatter(&self, message: M) -> Answers<M::Result> {
        let mut answers = Answers(Vec::new());
        self.each(message, |member, message| {
            if is_asking(member.id()) {
                bury(message);
                return answers.0.push((member.id(), Waiting::Done(Err(AskError::SelfAsk))));
            }
            let (envelope, answer) = Sealed::ask(message);
            let waiting = match member.offer(envelope) {
                Ok(()) => Waiting::For(answer),
                Err(refused) => {
                    let error = match &refused {
                        SendError::Full(_) => AskError::Full,
                        SendError::Stopped(_) => AskError::Stopped,
                    };
                    bury(refused);
                    Waiting::Done(Err(error))
                }
            };
            answers.0.push((member.id(), waiting));
        });
        answers
    }

    /// Asks every member that has room, and gives the answer that comes first. The others' are not waited for: a
    /// question that still waits is skipped, one in hand is finished. So the message must bear to be handled more than
    /// once.
    ///
    /// # Errors
    /// When nobody answers: `Stopped` when nobody is there, else what the last member's asker would hear, or `TimedOut`
    /// after `limit`.
    pub async fn ask_first(&self, limit: Duration, message: M) -> Result<M::Result, AskError> {
        let mut answers = self.scatter(message);
        let first = poll_fn(|task| {
            answers.poll(task);
            match answers.take_first() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None if answers.all_done() => {
                    Poll::Ready(Err(answers.last_error().unwrap_or(AskError::Stopped)))
                }
                None => Poll::Pending,
            }
        });
        within(limit, first, || ()).await.unwrap_or(Err(AskError::TimedOut(limit)))
    }

    /// Asks every member, and gives what each answered, in the order of the members, as soon as all have answered or
    /// the limit is over: `TimedOut` stands for those that have not. One that has no room now is not waited for, nor a
    /// member that asks here itself (`SelfAsk`).
    pub async fn ask_all(&self, limit: Duration, message: M) -> Vec<Asked<M>> {
        let mut answers = self.scatter(message);
        let all = poll_fn(|task| {
            answers.poll(task);
            if answers.all_done() { Poll::Ready(()) } else { Poll::Pending }
        });
        // Those who are late say so below.
        let _ = within(limit, all, || ()).await;
        let taken = std::mem::take(&mut answers.0);
        let settle = |(id, waiting)| match waiting {
            Waiting::Done(answer) => (id, answer),
            Waiting::For(_) => (id, Err(AskError::TimedOut(limit))),
        };
        taken.into_iter().map(settle).collect()
    }
}
