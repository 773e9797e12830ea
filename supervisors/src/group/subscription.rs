//! [`Subscription`]: keeps a subscriber on a topic.

use std::{
    fmt,
    sync::{Arc, Weak, atomic::Ordering::SeqCst},
};

use crate::{
    actix::Message,
    group::{subscriber::Subscriber, subscribers::Subscribers},
};

/// Keeps a subscriber on a [`Topic`](crate::Topic): it is unsubscribed when this is dropped. An actor that keeps it in
/// its state is a subscriber as long as that generation lives, and subscribes again at its next start.
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
/// # let spec = ChildSpec::<Shop>::new("shop", ());
/// # let shop = spec.actor_ref();
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// let prices = Topic::new("prices");
/// let for_now: Subscription<Price> = prices.subscribe(shop.clone(), SlowSubscriber::Skip)?;
/// prices.subscribe(shop.clone(), SlowSubscriber::Skip)?.detach(); // for as long as it lives
/// assert_eq!(prices.len(), 2);
/// drop(for_now);
/// assert_eq!(prices.len(), 1);
/// shop.stop();
/// shop.watch().await;
/// assert!(prices.is_empty());
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "dropping it ends the subscription; `detach` keeps the subscriber for life"]
pub struct Subscription<M: Message> {
    topic: Weak<Subscribers<M>>,
    subscriber: Arc<Subscriber<M>>,
    attached: bool,
}

impl<M: Message> fmt::Debug for Subscription<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("subscriber", &self.subscriber.recipient)
            .field("active", &self.is_active())
            .finish()
    }
}

impl<M: Message> Subscription<M> {
    pub(super) fn new(topic: Weak<Subscribers<M>>, subscriber: Arc<Subscriber<M>>) -> Self {
        Subscription { topic, subscriber, attached: true }
    }

    /// The subscriber stays for life, or until [`Topic::unsubscribe`](crate::Topic::unsubscribe).
    pub fn detach(mut self) {
        self.attached = false;
    }

    /// Ends it, as dropping does. A message that is being published on another thread may still arrive.
    pub fn unsubscribe(self) {}

    /// Whether the topic still has the subscriber: it may have removed it, and is perhaps gone itself.
    pub fn is_active(&self) -> bool {
        self.subscriber.active.load(SeqCst) && self.topic.strong_count() > 0
    }

    /// Messages that the subscriber had no room for.
    pub fn skipped(&self) -> u64 {
        self.subscriber.skipped.load(SeqCst)
    }
}

impl<M: Message> Drop for Subscription<M> {
    fn drop(&mut self) {
        if self.attached
            && let Some(topic) = self.topic.upgrade()
        {
            topic.remove(&self.subscriber);
        }
    }
}
