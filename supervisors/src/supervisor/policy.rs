//! What a supervisor does in the cases that its [specification](crate::SupervisorSpec) decides.

/// Which children a crash concerns.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u32)]
/// # struct Divide(u32);
/// # struct Fragile;
/// # impl Actor for Fragile {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Fragile) }
/// # }
/// # impl PlainHandler<Divide> for Fragile {
/// #     type Reply = u32;
/// #     fn handle(&mut self, Divide(by): Divide, _: &mut Context<Self>) -> u32 { 12 / by }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let children = ["a", "b", "c"].map(|name| ChildSpec::<Fragile>::new(name, ()));
/// let refs = children.each_ref().map(ChildSpec::actor_ref);
/// let root = SupervisorSpec::new("root").strategy(Strategy::RestForOne);
/// let root = children.into_iter().fold(root, SupervisorSpec::child);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// assert_eq!(refs[1].ask(Divide(0)).await, Err(AskError::Panicked));
/// assert_eq!(refs[2].ask(Divide(3)).await, Ok(4)); // waits for the next generation
/// assert_eq!(refs.map(|child| child.snapshot().generation), [0, 1, 1]);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// The one that crashed.
    #[default]
    OneForOne,
    /// All of them: the others are stopped in reverse order, then all are started again in order, when the backoff of
    /// the one that crashed is over. All keep their addresses and queues; temporary ones end for good.
    OneForAll,
    /// As [`OneForAll`](Self::OneForAll), for the one that crashed and those declared after it; those before it run on.
    RestForOne,
}

impl Strategy {
    /// OTP's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::OneForOne => "one_for_one",
            Strategy::OneForAll => "one_for_all",
            Strategy::RestForOne => "rest_for_one",
        }
    }
}

/// Whether a supervisor ends when its [significant](crate::ChildSpec::significant) children have ended by themselves.
/// It then stops the rest in reverse order and ends in order, which is no crash: a transient or temporary supervisor is
/// gone, a permanent one is restarted by the one above, which counts. A significant child that somebody stopped does
/// not bring its supervisor down, nor one that its supervisor stopped.
///
/// ```
/// # use callboard_supervisors::*;
/// struct Task;
///
/// impl Actor for Task {
///     type Args = ();
///     async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
///         cx.stop(); // it has nothing more to do
///         Ok(Task)
///     }
/// }
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let task = ChildSpec::<Task>::new("task", ()).restart(Restart::Transient).significant(true);
/// let root = SupervisorSpec::new("root").auto_shutdown(AutoShutdown::AllSignificant).child(task);
/// let system = ActorSystem::builder("example").executors(1).start(root).await;
/// # let Ok(system) = system else { return };
/// assert_eq!(system.terminated().await, StopReason::Shutdown);
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It runs on. Significant children are refused.
    #[default]
    Never,
    /// When the first of them has ended.
    AnySignificant,
    /// When the last of them has ended.
    AllSignificant,
}

/// What happens when a child cannot be started the first time.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Guest;
/// # #[derive(Message)]
/// # struct Hello;
/// impl Actor for Guest {
///     type Args = std::sync::Arc<std::sync::atomic::AtomicBool>;
///     async fn start(was_here: Self::Args, _: &mut Context<Self>) -> Result<Self, StartError> {
///         match was_here.swap(true, std::sync::atomic::Ordering::SeqCst) {
///             false => Err("not the first time".into()),
///             true => Ok(Guest),
///         }
///     }
/// }
/// # impl PlainHandler<Hello> for Guest {
/// #     type Reply = ();
/// #     fn handle(&mut self, _: Hello, _: &mut Context<Self>) {}
/// # }
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let guest = ChildSpec::<Guest>::new("guest", Default::default());
/// let address = guest.actor_ref();
/// let root = SupervisorSpec::new("root").on_start_failure(OnStartFailure::Retry).child(guest);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// assert_eq!(address.ask(Hello).await, Ok(())); // after the first backoff
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnStartFailure {
    /// The children that have started are stopped again, and the supervisor's start has failed.
    #[default]
    Fail,
    /// It counts as a crash: the child is tried again after its backoff. One for one, the others are started meanwhile;
    /// under the other strategies those after it wait for it.
    Retry,
}

/// What happens when the restarts of a supervisor's children exceed its intensity.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u32)]
/// # struct Divide(u32);
/// # struct Fragile;
/// # impl Actor for Fragile {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Fragile) }
/// # }
/// # impl PlainHandler<Divide> for Fragile {
/// #     type Reply = u32;
/// #     fn handle(&mut self, Divide(by): Divide, _: &mut Context<Self>) -> u32 { 12 / by }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let fragile = ChildSpec::<Fragile>::new("fragile", ());
/// let address = fragile.actor_ref();
/// let root = SupervisorSpec::new("root").intensity(0, std::time::Duration::from_secs(60)).child(fragile);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// assert_eq!(address.ask(Divide(0)).await, Err(AskError::Panicked));
/// assert!(matches!(system.terminated().await, StopReason::Escalated { child, .. } if child == "fragile"));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnExhausted {
    /// The supervisor stops all its children and gives up, which to its own supervisor is a crash.
    #[default]
    Escalate,
    /// The child is restarted for ever, at the longest backoff.
    RetryAtMaxBackoff,
}
