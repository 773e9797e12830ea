//! Nothing is left in the tables of what is gone.

use std::{any::TypeId, sync::Arc};

use crate::{
    actor::{Actor, StartError},
    context::Context,
    mailbox::MailboxSpec,
    meta::StopReason,
    reference::{ActorRef, Controlled, Node, Shared},
    registry::{
        RegisterError, Registry,
        entries::{Entries, Entry, MAX_NAMES},
    },
};

struct Idle;

impl Actor for Idle {
    type Args = ();

    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Idle)
    }
}

fn entry() -> Entry {
    let node: Arc<dyn Node> = Arc::new(Shared::<Idle>::new("idle".into(), MailboxSpec::default()));
    Entry { node, actor_type: TypeId::of::<Idle>() }
}

#[test]
fn what_is_removed_leaves_no_trace() {
    let mut entries = Entries::default();
    let (one, other) = (entry(), entry());
    let id = one.node.meta().id();
    for name in ["a", "b", "c"] {
        assert!(entries.add_name(name.into(), one.clone()).is_ok_and(|displaced| displaced.is_empty()));
    }
    assert!(entries.add_type(one.clone()).is_ok());
    assert!(entries.remove_name("a").is_some() && entries.remove_name("a").is_none());
    // A name that an actor left behind goes over to the next, and leaves the first one's list.
    one.node.discard(StopReason::Killed);
    let displaced = entries.add_name("b".into(), other.clone()).expect("it is free");
    assert_eq!(displaced.len(), 1);
    assert_eq!(entries.add_name("x".into(), one).err(), Some(RegisterError::Stopped));
    assert_eq!(entries.remove_all(id).len(), 2, "`c`, and the type");
    assert_eq!(entries.living_names().map(|name| &**name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(entries.remove_all(other.node.meta().id()).len(), 1);
    assert!(entries.is_empty());
}

#[test]
fn an_actor_has_only_so_many_names() {
    let mut entries = Entries::default();
    let one = entry();
    for n in 0..MAX_NAMES {
        assert!(entries.add_name(n.to_string().into(), one.clone()).is_ok());
    }
    let error = entries.add_name("more".into(), one.clone()).err();
    assert_eq!(error, Some(RegisterError::TooManyNames { max: MAX_NAMES }));
    // One that it has already is none more.
    assert!(entries.add_name("0".into(), one.clone()).is_ok());
    assert_eq!(entries.close().len(), MAX_NAMES);
    assert!(entries.is_empty());
    assert_eq!(entries.add_type(one).err(), Some(RegisterError::SystemStopped));
}

#[test]
fn the_registry_lets_go_of_an_actor_that_is_gone() {
    let registry = Registry::new();
    let shared = Arc::new(Shared::<Idle>::new("idle".into(), MailboxSpec::default()));
    let actor = ActorRef::new(shared.clone());
    registry.register("a", &actor).expect("a free name");
    registry.register("b", &actor).expect("a free name");
    registry.register_type(&actor).expect("nobody is it");
    drop(actor);
    assert_eq!(Arc::strong_count(&shared), 4);
    shared.end(StopReason::Killed);
    assert_eq!(Arc::strong_count(&shared), 1);
}
