//! What happens to a subscriber that has no room, and what became of a message.

use std::time::Duration;

/// What a [`Topic`](crate::Topic) does when a subscriber's mailbox has no room. Under the mailbox policies `DropNewest`
/// and `DropOldest` there is always room, as far as the topic can see.
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
/// let spec = ChildSpec::<Shop>::new("shop", ()).mailbox(MailboxSpec::bounded(1));
/// let shop = spec.actor_ref(); // does not run yet, so it has room for one
/// let prices = Topic::new("prices");
/// let subscription = prices.subscribe(shop, SlowSubscriber::UnsubscribeAfter(2))?;
/// assert_eq!(prices.publish(Price(1)).delivered, 1);
/// assert_eq!(prices.publish(Price(2)).skipped, 1);
/// assert_eq!(prices.publish(Price(3)).removed, 1);
/// assert_eq!((subscription.is_active(), subscription.skipped()), (false, 2));
/// # let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SlowSubscriber {
    /// It does not get this message, which is counted.
    #[default]
    Skip,
    /// As `Skip`; after so many messages in a row, at least 1, it is no subscriber any more.
    UnsubscribeAfter(u32),
    /// [`publish_and_wait`](crate::Topic::publish_and_wait) waits for it, at most so long and only as long as its
    /// mailbox lets one wait: a mailbox that rejects what it has no room for is not waited for. Then, and always for
    /// [`publish`](crate::Topic::publish), as `Skip`.
    Wait(Duration),
}

/// What became of a message that was published.
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
/// let roomy = ChildSpec::<Shop>::new("roomy", ());
/// let small = ChildSpec::<Shop>::new("small", ()).mailbox(MailboxSpec::bounded(1));
/// let prices = Topic::new("prices");
/// prices.subscribe(roomy.actor_ref(), SlowSubscriber::Skip)?.detach();
/// prices.subscribe(small.actor_ref(), SlowSubscriber::Skip)?.detach();
/// // Neither runs yet, so one has room for more and the other for one message.
/// let Published { delivered, skipped, removed, .. } = prices.publish(Price(1));
/// assert_eq!((delivered, skipped, removed), (2, 0, 0));
/// let Published { delivered, skipped, .. } = prices.publish(Price(2));
/// assert_eq!((delivered, skipped), (1, 1));
/// # let root = SupervisorSpec::new("root").child(roomy).child(small);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// Subscribers that took it.
    pub delivered: usize,
    /// Subscribers that had no room, and stay.
    pub skipped: usize,
    /// Subscribers that are none any more: they had no room too often, or are gone for good.
    pub removed: usize,
}
