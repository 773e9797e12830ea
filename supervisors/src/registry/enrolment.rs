//! [`Enrolment`]: an actor's own way to the registry.

use std::sync::Arc;

use crate::{
    actor::Actor,
    reference::{ActorRef, Shared},
    registry::{RegisterError, Registry},
};

/// The registry of the system in which an actor lives, and the name that its specification says.
pub(crate) struct Enrolment {
    registry: Registry,
    name: Option<Arc<str>>,
}

impl Enrolment {
    pub(crate) fn new(registry: Registry, name: Option<Arc<str>>) -> Self {
        Enrolment { registry, name }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Done before every generation: somebody may have taken the name away.
    pub(crate) fn claim<A: Actor>(&self, actor: &Arc<Shared<A>>) -> Result<(), RegisterError> {
        let Some(name) = &self.name else { return Ok(()) };
        self.registry.register(name.clone(), &ActorRef::new(actor.clone()))
    }
}
