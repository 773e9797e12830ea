//! Why an actor did not get its name, or was not found.

/// Why an actor was not registered.
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
/// let registry = system.registry();
/// registry.register("clock", &first)?;
/// match registry.register("clock", &second) {
///     Err(RegisterError::NameTaken { name, path }) => assert_eq!((&*name, &*path), ("clock", "a")),
///     other => panic!("{other:?}"),
/// }
/// first.stop();
/// first.watch().await;
/// assert_eq!(registry.register("hands", &first), Err(RegisterError::Stopped));
/// registry.register("clock", &second)?; // the name is free now
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// A living actor has the name.
    #[error("the name `{name}` is that of `{path}`, which lives")]
    NameTaken {
        /// The name.
        name: String,
        /// The path of the actor that has it.
        path: String,
    },
    /// A living actor is registered for this type.
    #[error("the actor of type `{type_name}` is `{path}`, which lives")]
    TypeTaken {
        /// The type.
        type_name: &'static str,
        /// The path of the actor that is registered for it.
        path: String,
    },
    /// The actor has as many names as one may have.
    #[error("the actor has its {max} names already")]
    TooManyNames {
        /// That many.
        max: usize,
    },
    /// The actor is gone for good.
    #[error("the actor has stopped")]
    Stopped,
    /// The system has stopped: it has no names any more.
    #[error("the system has stopped")]
    SystemStopped,
}

/// The system has stopped, so nobody will be registered any more.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Idle;
/// # impl Actor for Idle {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Idle) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root")).await?;
/// let registry = system.registry().clone();
/// let (found, _) = tokio::join!(registry.wait_for::<Idle>("clock"), async {
///     system.shutdown(std::time::Duration::from_secs(5)).await
/// });
/// assert_eq!(found, Err(NoMoreNames)); // whoever waits is told
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has stopped")]
pub struct NoMoreNames;
