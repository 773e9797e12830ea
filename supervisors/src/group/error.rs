//! Why an actor did not get into a group or a topic.

/// Why an actor did not join a [`Group`](crate::Group).
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Idle;
/// # impl Actor for Idle {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Idle) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// # let (a, b) = (ChildSpec::<Idle>::new("a", ()), ChildSpec::<Idle>::new("b", ()));
/// # let (first, second) = (a.actor_ref(), b.actor_ref());
/// # let root = SupervisorSpec::new("root").child(a).child(b);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let solo = Group::bounded("solo", 1);
/// solo.join(&first)?;
/// assert_eq!(solo.join(&first), Ok(())); // a member already
/// assert_eq!(solo.join(&second), Err(JoinError::Full { max: 1 }));
/// first.stop();
/// first.watch().await;
/// assert_eq!(solo.join(&first), Err(JoinError::Stopped));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The group has as many members as it may have.
    #[error("the group has its {max} members already")]
    Full {
        /// That many.
        max: usize,
    },
    /// The actor is gone for good.
    #[error("the actor has stopped")]
    Stopped,
}

/// Why an actor did not subscribe to a [`Topic`](crate::Topic).
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
/// # let (a, b) = (ChildSpec::<Shop>::new("a", ()), ChildSpec::<Shop>::new("b", ()));
/// # let (first, second) = (a.actor_ref(), b.actor_ref());
/// # let root = SupervisorSpec::new("root").child(a).child(b);
/// # let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let prices = Topic::<Price>::bounded("prices", 1);
/// let subscription = prices.subscribe(first.clone(), SlowSubscriber::Skip)?;
/// let refused = prices.subscribe(second.clone(), SlowSubscriber::Skip).expect_err("one is enough");
/// assert_eq!(refused, SubscribeError::Full { max: 1 });
/// drop(subscription);
/// prices.subscribe(second, SlowSubscriber::Skip)?.detach();
/// first.stop();
/// first.watch().await;
/// let refused = prices.subscribe(first, SlowSubscriber::Skip).expect_err("it is gone");
/// assert_eq!(refused, SubscribeError::Stopped);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The topic has as many subscribers as it may have.
    #[error("the topic has its {max} subscribers already")]
    Full {
        /// That many.
        max: usize,
    },
    /// The actor is gone for good.
    #[error("the actor has stopped")]
    Stopped,
}
