//! [`AdoptedSpec`]: how an adopted actor is made, restarted and stopped.

use std::sync::Arc;

use ::actix::{Actor, Context, Supervised, dev::ContextFut};

use crate::{
    actix::{
        adopted::Adopted,
        adopted_loop::{AdoptedLoop, RestartInPlace, Seed},
        adopted_shared::AdoptedShared,
    },
    error::StartChildError,
    executor::Placement,
    supervisor::{DynamicSupervisor, Entry, Restart, Shutdown, Supervisor, SupervisorSpec},
    task::Launch,
};

/// How an adopted actor is made, restarted and stopped: what [`ChildSpec`](crate::ChildSpec) is for the others. See the
/// [module](crate::adoption) for an example.
///
/// ```
/// # use callboard_supervisors::{*, adoption::{AdoptedSpec, actix}};
/// # #[derive(Message)]
/// # #[message(reply = u8)]
/// # struct Add(u8);
/// # struct Counter(u8);
/// # impl actix::Actor for Counter { type Context = actix::Context<Self>; }
/// # impl actix::Handler<Add> for Counter {
/// #     type Result = u8;
/// #     fn handle(&mut self, Add(amount): Add, _: &mut Self::Context) -> u8 {
/// #         self.0 = self.0.checked_add(amount).expect("eight bits");
/// #         self.0
/// #     }
/// # }
/// impl actix::Supervised for Counter {
///     fn restarting(&mut self, _: &mut Self::Context) {
///         self.0 = 0; // whatever the panic left
///     }
/// }
///
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let spec = AdoptedSpec::supervised("counter", || Counter(200))
///     .restart(Restart::Transient)
///     .shutdown(Shutdown::Timeout(std::time::Duration::from_secs(2)))
///     .placement(Placement::Workers);
/// let counter = spec.adopted();
/// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").adopted(spec)).await?;
/// let addr = counter.addr().expect("it runs");
/// assert_eq!(addr.send(Add(100)).await, Err(actix::MailboxError::Closed)); // it panicked
/// assert_eq!(addr.send(Add(1)).await, Ok(1)); // the same actor, at the same address
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "an adopted actor runs when its specification is given to a supervisor"]
pub struct AdoptedSpec<A: Actor<Context = Context<A>>> {
    shared: Arc<AdoptedShared<A>>,
    seed: Seed<A>,
    significant: bool,
    shutdown: Shutdown,
    placement: Placement,
}

impl<A: Actor<Context = Context<A>>> AdoptedSpec<A> {
    /// Every generation is a new actor, made by `factory`, and has a new address: what waited in the queue of the one
    /// before is lost, and its askers see `MailboxError::Closed`.
    ///
    /// `name` must be unique below the supervisor, not empty, and without a `/`. The factory runs on the executor where
    /// the actor will live; a panic in it is a start that failed.
    pub fn new(name: impl Into<Arc<str>>, factory: impl FnMut() -> A + Send + 'static) -> Self {
        AdoptedSpec::made(name.into(), Box::new(factory), None)
    }

    /// As [`new`](Self::new), but the actor is restarted in place: `factory` makes it once, and each further generation
    /// is the same actor at the same address and with the same queue, after its [`Supervised::restarting`] has run. The
    /// message that panicked and the futures and timers of the context are lost.
    ///
    /// `restarting` finds the state as the panic left it, and must put it right. It runs when the generation has ended,
    /// before the pause; if it is not certain by then that the actor comes back, before its next `started`. A panic in
    /// it is a start that failed.
    pub fn supervised(name: impl Into<Arc<str>>, factory: impl FnMut() -> A + Send + 'static) -> Self
    where
        A: Supervised,
    {
        AdoptedSpec::made(name.into(), Box::new(factory), Some(ContextFut::restart))
    }

    fn made(
        name: Arc<str>,
        factory: Box<dyn FnMut() -> A + Send>,
        in_place: Option<RestartInPlace<A>>,
    ) -> Self {
        AdoptedSpec {
            shared: Arc::new(AdoptedShared::new(name)),
            seed: Seed { factory, in_place, restart: Restart::default() },
            significant: false,
            shutdown: Shutdown::default(),
            placement: Placement::default(),
        }
    }

    /// Default: permanent.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.seed.restart = restart;
        self
    }

    /// As [`ChildSpec::significant`](crate::ChildSpec::significant). Default: no.
    pub fn significant(self, significant: bool) -> Self {
        AdoptedSpec { significant, ..self }
    }

    /// How long the actor may go on after it was told to stop: its `stopping` may return `Running::Continue`.
    /// Default: 5 s.
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        AdoptedSpec { shutdown, ..self }
    }

    /// Default: where the supervisor says. actix has no budget of messages: one that is flooded delays all others of
    /// its thread.
    pub fn placement(self, placement: Placement) -> Self {
        AdoptedSpec { placement, ..self }
    }

    /// The handle the actor will have; good before the start, and over restarts.
    pub fn adopted(&self) -> Adopted<A> {
        Adopted::new(self.shared.clone())
    }

    fn into_entry(self) -> Entry {
        let AdoptedSpec { shared, seed, significant, shutdown, placement } = self;
        Entry {
            node: shared.clone(),
            restart: seed.restart,
            significant,
            shutdown,
            placement,
            problem: None,
            launch: Box::new(move |generation, link, executor, _| {
                Launch::<AdoptedLoop<A>>::new(shared, seed, shutdown, generation, link, executor).run();
            }),
        }
    }
}

impl SupervisorSpec {
    /// Adds an adopted actor after the other children.
    pub fn adopted<A: Actor<Context = Context<A>>>(self, child: AdoptedSpec<A>) -> Self {
        self.entry(child.into_entry())
    }
}

impl Supervisor {
    /// As [`start_child`](Self::start_child), for an adopted actor.
    ///
    /// # Errors
    /// See [`StartChildError`]; nothing is left of the child then.
    pub async fn start_adopted<A: Actor<Context = Context<A>>>(
        &self,
        child: AdoptedSpec<A>,
    ) -> Result<Adopted<A>, StartChildError> {
        let adopted = child.adopted();
        self.node().start_entry(child.into_entry()).await?;
        Ok(adopted)
    }
}

impl DynamicSupervisor {
    /// As [`spawn_child`](Self::spawn_child), for an adopted actor.
    ///
    /// # Errors
    /// See [`StartChildError`]; nothing is left of the child then.
    pub fn spawn_adopted<A: Actor<Context = Context<A>>>(
        &self,
        child: AdoptedSpec<A>,
    ) -> Result<Adopted<A>, StartChildError> {
        let adopted = child.adopted();
        self.node().add(child.into_entry())?;
        Ok(adopted)
    }

    /// As [`start_child`](Self::start_child), for an adopted actor.
    ///
    /// # Errors
    /// See [`StartChildError`]; nothing is left of the child then.
    pub async fn start_adopted<A: Actor<Context = Context<A>>>(
        &self,
        child: AdoptedSpec<A>,
    ) -> Result<Adopted<A>, StartChildError> {
        let adopted = child.adopted();
        self.node().start_entry(child.into_entry()).await?;
        Ok(adopted)
    }
}
