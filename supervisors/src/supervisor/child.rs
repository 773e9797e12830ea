//! [`ChildSpec`]: how a child is made, restarted and stopped.

use std::{error::Error, sync::Arc, time::Duration};

use crate::{
    actor::Actor,
    core::{Core, bury},
    executor::{Executor, Placement},
    mailbox::{MailboxSpec, Overflow},
    meta::{Kind, StopReason},
    reference::{ActorRef, Controlled, Node, Shared},
    registry::Enrolment,
    supervisor::{Runtime, strategy::Member},
    task::{Launch, Link},
};

/// Which ends of a child are followed by a restart. A stop by [`ActorRef::stop`] never is.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let once = ChildSpec::<Counter>::new("once", ()).restart(Restart::Temporary);
/// let again = ChildSpec::<Counter>::new("again", ()).restart(Restart::Transient);
/// let (first, second) = (once.actor_ref(), again.actor_ref());
/// let root = SupervisorSpec::new("root").child(once).child(again);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// first.kill();
/// second.kill();
/// assert_eq!(first.watch().await, StopReason::Killed);
/// assert_eq!(second.ask(Count).await, Ok(1)); // of its next generation
/// assert!(second.is_alive());
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Every end.
    #[default]
    Permanent,
    /// A crash or a kill; not a [`Context::stop`](crate::Context::stop).
    Transient,
    /// None.
    Temporary,
}

/// How a child is stopped, by its supervisor or by [`ActorRef::stop`] and [`ActorRef::restart`].
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// // It may need a while to write down what it has; this one has nothing to lose.
/// let careful = ChildSpec::<Counter>::new("careful", ()).shutdown(Shutdown::Timeout(Duration::from_secs(30)));
/// let careless = ChildSpec::<Counter>::new("careless", ()).shutdown(Shutdown::Brutal);
/// let (first, second) = (careful.actor_ref(), careless.actor_ref());
/// let root = SupervisorSpec::new("root").child(careful).child(careless);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// assert!(system.shutdown(Duration::from_secs(60)).await.is_clean());
/// assert_eq!((first.watch().await, second.watch().await), (StopReason::Shutdown, StopReason::Killed));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// Orderly; killed when it takes longer than this.
    Timeout(Duration),
    /// Orderly, however long it takes. The default of supervisors, whose children have limits of their own.
    Infinity,
    /// Killed at once, without its stop hook.
    Brutal,
}

/// 5 s.
impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::Timeout(Duration::from_secs(5))
    }
}

/// How a child is made, restarted and stopped. The address exists from here on, so that specifications can be wired to
/// each other before anything runs; messages wait until the actor does.
///
/// A specification that is dropped without having been given to a supervisor leaves addresses behind whose messages
/// wait for ever: asks time out, [`ActorRef::watch`] does not return.
///
/// ```
/// # use callboard_supervisors::*;
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// use std::time::Duration;
///
/// let spec = ChildSpec::<Counter>::new("counter", ())
///     .restart(Restart::Transient)
///     .shutdown(Shutdown::Timeout(Duration::from_secs(2)))
///     .placement(Placement::Workers)
///     .mailbox(MailboxSpec::bounded(100));
/// let counter = spec.actor_ref();
/// counter.tell(Count)?; // waits until the actor runs
/// let root = SupervisorSpec::new("root").child(spec);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// assert_eq!(counter.ask(Count).await, Ok(2));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// ```
#[must_use = "a child runs when its specification is given to a supervisor"]
pub struct ChildSpec<A: Actor> {
    shared: Arc<Shared<A>>,
    args: A::Args,
    restart: Restart,
    significant: bool,
    shutdown: Shutdown,
    placement: Placement,
    registered: Option<Arc<str>>,
    /// The first mistake that was made here.
    problem: Option<String>,
}

impl<A: Actor> ChildSpec<A> {
    /// `name` must be unique below the supervisor, not empty, and without a `/`.
    pub fn new(name: impl Into<Arc<str>>, args: A::Args) -> Self {
        ChildSpec {
            shared: Arc::new(Shared::new(name.into(), MailboxSpec::default())),
            args,
            restart: Restart::default(),
            significant: false,
            shutdown: Shutdown::default(),
            placement: Placement::default(),
            registered: None,
            problem: None,
        }
    }

    /// Default: permanent.
    pub fn restart(self, restart: Restart) -> Self {
        ChildSpec { restart, ..self }
    }

    /// Whether this child's end counts for the [`AutoShutdown`](crate::AutoShutdown) of its supervisor: any end of a
    /// temporary child, an end by itself of a transient one. Refused for permanent children, which never end, and below
    /// a supervisor that never shuts down by itself. Default: no.
    pub fn significant(self, significant: bool) -> Self {
        ChildSpec { significant, ..self }
    }

    /// Default: 5 s.
    pub fn shutdown(self, shutdown: Shutdown) -> Self {
        ChildSpec { shutdown, ..self }
    }

    /// Default: 1024 messages, `Block(1 s)`. To be called before [`actor_ref`](Self::actor_ref).
    pub fn mailbox(mut self, mailbox: MailboxSpec) -> Self {
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => shared.set_mailbox(mailbox),
            None => {
                let problem = "the mailbox was set after the address was handed out; call `mailbox` first";
                self.problem.get_or_insert_with(|| problem.into());
            }
        }
        self
    }

    /// Whether the actor ends by itself, as by [`Context::stop`](crate::Context::stop), as soon as nobody holds an
    /// address of it and all that was sent is handled, replies that come [`Later`](crate::Later) included. An
    /// [`ActorRef`] and a [`Recipient`](crate::Recipient) count, also those that the actor keeps of itself, and so do
    /// the [groups](crate::Group) and [topics](crate::Topic) that it is in; an [`ActorHandle`](crate::ActorHandle) and
    /// a name in the [registry](crate::Registry) do not. Timers, streams and spawned futures do not keep it. For
    /// children that come and go: refused for permanent ones. Default: no. To be called before
    /// [`actor_ref`](Self::actor_ref).
    pub fn stop_when_unreferenced(mut self, stop: bool) -> Self {
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => shared.count_references(stop),
            None => {
                let problem =
                    "`stop_when_unreferenced` was set after the address was handed out; call it first";
                self.problem.get_or_insert_with(|| problem.into());
            }
        }
        self
    }

    /// Default: where the supervisor says.
    pub fn placement(self, placement: Placement) -> Self {
        ChildSpec { placement, ..self }
    }

    /// What is to go wrong with the actor. Default: nothing. A second call replaces what the first one said.
    #[cfg(feature = "testkit")]
    pub fn faults(mut self, faults: crate::testkit::Faults) -> Self {
        if let Some(problem) = faults.problem() {
            self.problem.get_or_insert_with(|| problem.into());
        }
        *self.shared.script.lock() = crate::testkit::Script::new(faults);
        self
    }

    /// The actor has this name in the [registry](crate::Registry) of its system, from before its first generation
    /// starts until it is gone for good. While another living actor has the name, a generation does not start: that
    /// counts as a start that failed. Default: no name.
    pub fn registered(self, name: impl Into<Arc<str>>) -> Self {
        ChildSpec { registered: Some(name.into()), ..self }
    }

    /// A mistake that was made where this specification comes from.
    pub(crate) fn problem(self, problem: Option<String>) -> Self {
        ChildSpec { problem: self.problem.or(problem), ..self }
    }

    /// The address the actor will have.
    pub fn actor_ref(&self) -> ActorRef<A> {
        ActorRef::new(self.shared.clone())
    }

    pub(super) fn into_entry(self) -> Entry {
        let mut problem = self.problem;
        let mailbox = self.shared.mailbox.spec();
        if mailbox.capacity() == 0 {
            problem.get_or_insert("a mailbox needs room for at least 1 message".into());
        }
        if mailbox.replies() == 0 {
            problem.get_or_insert("`concurrent_replies` must be at least 1".into());
        }
        if mailbox.overflow == Overflow::Block(Duration::ZERO) {
            problem.get_or_insert("`Block` of no time is `Reject`; say so".into());
        }
        if self.shared.counts_references() && self.restart == Restart::Permanent {
            let wrong = "`stop_when_unreferenced` needs a transient or temporary child: a permanent one would come back";
            problem.get_or_insert(wrong.into());
        }
        let (shared, args, shutdown) = (self.shared.clone(), self.args, self.shutdown);
        let registered = self.registered;
        Entry {
            node: self.shared,
            restart: self.restart,
            significant: self.significant,
            shutdown,
            placement: self.placement,
            problem,
            launch: Box::new(move |generation, link, executor, runtime| {
                shared.set_enrolment(Enrolment::new(runtime.registry.clone(), registered));
                // Whoever started it finds it at once. If the name is taken, its start says so.
                let _ = shared.enrol();
                Launch::<Core<A>>::new(shared, args, shutdown, generation, link, executor).run();
            }),
        }
    }
}

/// Runs a child for the first time: its generation, the way to its supervisor, and where.
pub(crate) type LaunchFn = Box<dyn FnOnce(u64, Link, Arc<Executor>, &Arc<Runtime>) + Send>;

/// A specification, its type erased.
pub(crate) struct Entry {
    pub(crate) node: Arc<dyn Node>,
    pub(crate) restart: Restart,
    pub(crate) significant: bool,
    pub(crate) shutdown: Shutdown,
    pub(crate) placement: Placement,
    pub(crate) problem: Option<String>,
    pub(crate) launch: LaunchFn,
}

impl Entry {
    pub(super) fn member(&self) -> Member {
        Member {
            restart: self.restart,
            shutdown: self.shutdown,
            significant: self.significant,
            supervises: self.node.meta().kind() != Kind::Actor,
        }
    }

    /// It does not become a child: whoever has its address need not wait for it.
    pub(super) fn refuse(self, why: &dyn Error) {
        self.node.discard(StopReason::StartFailed(why.to_string()));
        bury(self.launch);
    }
}
