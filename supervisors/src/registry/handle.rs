//! [`Registry`]: the names of a system.

use std::{
    any::TypeId,
    fmt,
    pin::pin,
    sync::{Arc, OnceLock, Weak},
};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{
    actor::Actor,
    meta::{ActorId, Farewell, Meta},
    reference::{ActorHandle, ActorRef, Node, Shared},
    registry::{
        NoMoreNames, RegisterError,
        entries::{Displaced, Entries, Entry},
    },
};

struct Inner {
    entries: Mutex<Entries>,
    /// Told when somebody is registered, and at the end.
    changed: Notify,
    /// With it the system ends.
    root: OnceLock<ActorId>,
}

impl Inner {
    fn close(&self) {
        let displaced = self.entries.lock().close();
        drop(displaced);
        self.changed.notify_waiters();
    }
}

impl Farewell for Inner {
    fn gone(&self, actor: ActorId) {
        if self.root.get() == Some(&actor) {
            return self.close();
        }
        let displaced = self.entries.lock().remove_all(actor);
        drop(displaced);
    }
}

/// The names of a system: actors are found by them from anywhere in it, whatever their path. There is one registry for
/// each [`ActorSystem`](crate::ActorSystem), and every actor reaches it by its [`Context`](crate::Context).
///
/// A name lasts over restarts, and is free when its actor is gone for good. It is removed then without anybody's doing.
/// A lookup says the type that the actor must have: one of another type is not found. An actor can also be registered
/// for its type alone, without a name. When the system has stopped, the registry is empty and stays so.
///
/// Clones are handles of the same one. An actor that is registered by its specification
/// ([`ChildSpec::registered`](crate::ChildSpec::registered)) has its name before anybody can hear of it.
///
/// ```
/// # use callboard_supervisors::*;
/// # struct Clock;
/// # impl Actor for Clock {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Clock) }
/// # }
/// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
/// let clock = ChildSpec::<Clock>::new("clock", ()).registered("time");
/// let other = ChildSpec::<Clock>::new("other", ());
/// let (address, second) = (clock.actor_ref(), other.actor_ref());
/// let root = SupervisorSpec::new("root").child(clock).child(other);
/// let system = ActorSystem::builder("example").executors(1).start(root).await?;
/// let registry = system.registry();
/// assert_eq!(registry.lookup::<Clock>("time"), Some(address));
/// assert!(matches!(registry.register("time", &second), Err(RegisterError::NameTaken { .. })));
///
/// let waiting = registry.wait_for::<Clock>("late");
/// registry.register("late", &second).expect("a free name");
/// assert_eq!(waiting.await, Ok(second));
/// # system.shutdown(std::time::Duration::from_secs(5)).await;
/// # Ok::<(), StartSystemError>(())
/// # }).unwrap();
/// ```
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Registry").field(&self.names()).finish()
    }
}

impl Registry {
    pub(crate) fn new() -> Self {
        Registry(Arc::new(Inner { entries: Mutex::default(), changed: Notify::new(), root: OnceLock::new() }))
    }

    fn as_list(&self) -> Weak<dyn Farewell> {
        let list: Arc<dyn Farewell> = self.0.clone();
        Arc::downgrade(&list)
    }

    /// The registry ends with this root. Called once, before the root is launched.
    pub(crate) fn end_with(&self, root: &Meta) {
        let _ = self.0.root.set(root.id());
        if !root.bid_farewell_to(self.as_list()) {
            self.0.close();
        }
    }

    fn add<A: Actor>(
        &self,
        actor: &ActorRef<A>,
        add: impl FnOnce(&mut Entries, Entry) -> Result<Displaced, RegisterError>,
    ) -> Result<(), RegisterError> {
        let node: Arc<dyn Node> = actor.shared().clone();
        if !node.meta().bid_farewell_to(self.as_list()) {
            return Err(RegisterError::Stopped);
        }
        let added = add(&mut self.0.entries.lock(), Entry { node, actor_type: TypeId::of::<A>() });
        drop(added?);
        self.0.changed.notify_waiters();
        Ok(())
    }

    /// Gives a living actor of any system a name; an actor may have several, 1024 at most. Nothing happens if it has
    /// this one already.
    ///
    /// # Errors
    /// `NameTaken` when another living actor has the name, `Stopped` when this one is gone for good, `TooManyNames`,
    /// and `SystemStopped`.
    pub fn register<A: Actor>(
        &self,
        name: impl Into<Arc<str>>,
        actor: &ActorRef<A>,
    ) -> Result<(), RegisterError> {
        let name = name.into();
        self.add(actor, |entries, entry| entries.add_name(name, entry))
    }

    /// Makes this the actor of its type: [`any`](Self::any) gives it. Nothing happens if it is so already.
    ///
    /// # Errors
    /// `TypeTaken` when another living actor is registered for the type, `Stopped` when this one is gone for good, and
    /// `SystemStopped`.
    pub fn register_type<A: Actor>(&self, actor: &ActorRef<A>) -> Result<(), RegisterError> {
        self.add(actor, Entries::add_type)
    }

    /// Takes a name away from whoever has it. A name from a specification comes back with the actor's next generation.
    /// None: nobody has it.
    pub fn unregister(&self, name: &str) -> Option<ActorHandle> {
        let removed = self.0.entries.lock().remove_name(name)?;
        removed.is_alive().then(|| ActorHandle::of_node(removed.node))
    }

    /// Takes back a [`register_type`](Self::register_type). None: nobody is registered for the type.
    pub fn unregister_type<A: Actor>(&self) -> Option<ActorHandle> {
        let removed = self.0.entries.lock().remove_type(TypeId::of::<A>())?;
        removed.is_alive().then(|| ActorHandle::of_node(removed.node))
    }

    /// The living actor with this name. None also if it is of another type.
    pub fn lookup<A: Actor>(&self, name: &str) -> Option<ActorRef<A>> {
        let entry = self.0.entries.lock().living(name).cloned();
        typed(entry?)
    }

    /// The living actor with this name, whatever its type.
    pub fn handle(&self, name: &str) -> Option<ActorHandle> {
        let entry = self.0.entries.lock().living(name).cloned();
        Some(ActorHandle::of_node(entry?.node))
    }

    /// A living actor of this type: the one that is registered for it, else the first of the type in the order of
    /// names.
    pub fn any<A: Actor>(&self) -> Option<ActorRef<A>> {
        let actor_type = TypeId::of::<A>();
        let entry = {
            let entries = self.0.entries.lock();
            entries.living_of_type(actor_type).or_else(|| entries.living_named(actor_type)).cloned()
        };
        typed(entry?)
    }

    /// Waits until an actor of this name and type is there, if it is not there yet. Dropping the future leaves nothing
    /// behind. Every registration wakes all who wait here.
    ///
    /// # Errors
    /// When the system has stopped, or stops meanwhile.
    pub async fn wait_for<A: Actor>(&self, name: &str) -> Result<ActorRef<A>, NoMoreNames> {
        self.wait_until(|| self.lookup(name)).await
    }

    /// As [`wait_for`](Self::wait_for), for [`any`](Self::any).
    ///
    /// # Errors
    /// When the system has stopped, or stops meanwhile.
    pub async fn wait_for_any<A: Actor>(&self) -> Result<ActorRef<A>, NoMoreNames> {
        self.wait_until(|| self.any()).await
    }

    async fn wait_until<T>(&self, find: impl Fn() -> Option<T>) -> Result<T, NoMoreNames> {
        loop {
            let mut changed = pin!(self.0.changed.notified());
            changed.as_mut().enable();
            if let Some(found) = find() {
                return Ok(found);
            }
            if self.0.entries.lock().closed {
                return Err(NoMoreNames);
            }
            changed.await;
        }
    }

    /// The names of living actors as they are now, in order.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.0.entries.lock().living_names().cloned().collect()
    }
}

fn typed<A: Actor>(entry: Entry) -> Option<ActorRef<A>> {
    entry.node.into_any().downcast::<Shared<A>>().ok().map(ActorRef::new)
}
