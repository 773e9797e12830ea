//! [`Topic`]: what is published reaches all subscribers.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::SeqCst},
    task::{Context as Task, Poll},
};

use futures_util::future::join_all;

use crate::{
    actix::Message,
    core::bury,
    envelope::Sealed,
    error::SendError,
    group::{
        Copies, Published, SlowSubscriber, SubscribeError, Subscription, subscriber::Subscriber,
        subscribers::Subscribers,
    },
    meta::{ActorId, Farewell},
    reference::{Recipient, within},
};

/// What is published here reaches all who are subscribed now; nothing is kept for those who come later. Each subscriber
/// has its mailbox, and says what happens when that is full: see [`SlowSubscriber`]. Actors that are gone for good are
/// removed by themselves.
///
/// Messages of one publisher, each published after the one before, reach a subscriber in that order. Clones are handles
/// of the same one; a topic has no task, and needs no system.
///
/// ```
/// # use callboard_supervisors::*;
/// #[derive(Clone, Message)]
/// struct Price(u32);
/// # struct Shop(u32);
/// # impl Actor for Shop {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Shop(0)) }
/// # }
/// # impl PlainHandler<Price> for Shop {
/// #     type Reply = ();
/// #     fn handle(&mut self, Price(now): Price, _: &mut Context<Self>) { self.0 = now; }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let spec = ChildSpec::<Shop>::new("shop", ());
/// # let shop = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// let prices = Topic::new("prices");
/// let subscription = prices.subscribe(shop.clone(), SlowSubscriber::Skip).expect("it lives");
/// assert_eq!(prices.publish(Price(3)).delivered, 1);
/// drop(subscription);
/// assert_eq!(prices.publish(Price(4)).delivered, 0);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
pub struct Topic<M: Message>(Arc<Subscribers<M>>);

impl<M: Message> Clone for Topic<M> {
    fn clone(&self) -> Self {
        Topic(self.0.clone())
    }
}

impl<M: Message> fmt::Debug for Topic<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Topic(`{}`, {} subscribers)", self.0.name, self.len())
    }
}

impl<M: Message + Clone> Topic<M> {
    /// A topic for at most 1024 subscribers. The name is for people.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Topic::bounded(name, 1024)
    }

    /// A topic for at most so many subscribers.
    pub fn bounded(name: impl Into<Arc<str>>, max: usize) -> Self {
        Topic(Arc::new(Subscribers::new(name.into(), max)))
    }

    /// From now on the actor gets what is published, until the [`Subscription`] is dropped or the actor is gone for
    /// good. One that subscribes twice gets everything twice.
    ///
    /// # Errors
    /// `Full` when there are as many subscribers as there may be, `Stopped` when the actor is gone for good.
    pub fn subscribe(
        &self,
        subscriber: impl Into<Recipient<M>>,
        policy: SlowSubscriber,
    ) -> Result<Subscription<M>, SubscribeError> {
        let recipient = subscriber.into();
        let as_list: Arc<dyn Farewell> = self.0.clone();
        if !recipient.bid_farewell_to(Arc::downgrade(&as_list)) {
            return Err(SubscribeError::Stopped);
        }
        let subscriber = Subscriber::new(recipient, policy);
        self.0.add(&subscriber)?;
        Ok(Subscription::new(Arc::downgrade(&self.0), subscriber))
    }

    /// Gives every subscriber the message, now. Never waits. A panic of `Clone` reaches the caller; those that come
    /// after do not get the message then.
    pub fn publish(&self, message: M) -> Published {
        let mut done = Published::default();
        self.deliver(message, |subscriber, copy| {
            self.0.settle(subscriber, subscriber.recipient.tell(copy), &mut done);
        });
        done
    }

    fn deliver(&self, message: M, mut give: impl FnMut(&Arc<Subscriber<M>>, M)) {
        let list = self.0.list();
        let mut copies = Copies::new(message, list.len());
        for subscriber in list.iter() {
            let Some(copy) = copies.next() else { break };
            if subscriber.active.load(SeqCst) {
                give(subscriber, copy);
            } else {
                bury(copy);
            }
        }
    }

    /// As [`publish`](Self::publish), and then waits for all those who have no room and may be waited for, together.
    /// Nobody who has room waits for them.
    ///
    /// Dropping the future takes the message back from those who are being waited for; the others have it.
    pub async fn publish_and_wait(&self, message: M) -> Published {
        let mut done = Published::default();
        let mut waiting = Vec::new();
        self.deliver(message, |subscriber, copy| {
            let SlowSubscriber::Wait(limit) = subscriber.policy else {
                return self.0.settle(subscriber, subscriber.recipient.tell(copy), &mut done);
            };
            match subscriber.recipient.try_admit(Sealed::tell(copy)) {
                Err(SendError::Full(envelope)) => {
                    let ours = subscriber.clone();
                    waiting.push(Waiting::new(async move {
                        let sent = within(limit, ours.recipient.admit(envelope), || ()).await;
                        (ours, sent.map(|sent| sent.map_err(SendError::from)))
                    }));
                }
                settled => self.0.settle(subscriber, settled.map_err(SendError::from), &mut done),
            }
        });
        for (subscriber, sent) in join_all(waiting).await {
            match sent {
                Some(sent) => self.0.settle(&subscriber, sent, &mut done),
                None => self.0.skip(&subscriber, &mut done),
            }
        }
        done
    }

    /// Removes all subscriptions of this actor. Gives how many there were.
    pub fn unsubscribe(&self, actor: ActorId) -> usize {
        self.0.remove_if(|subscriber| subscriber.recipient.id() == actor)
    }
}

impl<M: Message> Topic<M> {
    /// The topic's name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// How many subscriptions there are.
    pub fn len(&self) -> usize {
        self.0.list().iter().filter(|subscriber| subscriber.recipient.is_alive()).count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

type Sent<M> = (Arc<Subscriber<M>>, Option<Result<(), SendError<M>>>);

/// A message that waits for room. It may be dropped with its neighbours, which a panic of its `Drop` must not tear
/// down.
struct Waiting<M: Message>(Option<Pin<Box<dyn Future<Output = Sent<M>> + Send>>>);

impl<M: Message> Waiting<M> {
    fn new(future: impl Future<Output = Sent<M>> + Send + 'static) -> Self {
        Waiting(Some(Box::pin(future)))
    }
}

impl<M: Message> Future for Waiting<M> {
    type Output = Sent<M>;

    fn poll(mut self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Sent<M>> {
        match self.0.as_mut() {
            Some(future) => future.as_mut().poll(task),
            None => Poll::Pending,
        }
    }
}

impl<M: Message> Drop for Waiting<M> {
    fn drop(&mut self) {
        bury(self.0.take());
    }
}
