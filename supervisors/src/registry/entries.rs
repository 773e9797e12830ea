//! [`Entries`]: the registry's tables.

use std::{
    any::TypeId,
    collections::{BTreeMap, HashMap, hash_map},
    sync::Arc,
};

use crate::{
    meta::{ActorId, State},
    reference::Node,
    registry::RegisterError,
};

/// Names that one actor may have.
pub(super) const MAX_NAMES: usize = 1024;

/// What is registered: an actor, and its type.
#[derive(Clone)]
pub(super) struct Entry {
    pub(super) node: Arc<dyn Node>,
    pub(super) actor_type: TypeId,
}

impl Entry {
    fn id(&self) -> ActorId {
        self.node.meta().id()
    }

    pub(super) fn is_alive(&self) -> bool {
        self.node.meta().state() != State::Stopped
    }
}

#[derive(Default)]
struct Holdings {
    names: Vec<Arc<str>>,
    by_type: bool,
}

/// Every table says the same; the last is there to find quickly what goes with an actor.
#[derive(Default)]
pub(super) struct Entries {
    names: BTreeMap<Arc<str>, Entry>,
    types: HashMap<TypeId, Entry>,
    of: HashMap<ActorId, Holdings>,
    pub(super) closed: bool,
}

/// Entries that were displaced, to be dropped without the lock.
pub(super) type Displaced = Vec<Entry>;

impl Entries {
    pub(super) fn living(&self, name: &str) -> Option<&Entry> {
        self.names.get(name).filter(|entry| entry.is_alive())
    }

    pub(super) fn living_of_type(&self, actor_type: TypeId) -> Option<&Entry> {
        self.types.get(&actor_type).filter(|entry| entry.is_alive())
    }

    /// The first in the order of names.
    pub(super) fn living_named(&self, actor_type: TypeId) -> Option<&Entry> {
        self.names.values().find(|entry| entry.actor_type == actor_type && entry.is_alive())
    }

    pub(super) fn living_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter().filter(|(_, entry)| entry.is_alive()).map(|(name, _)| name)
    }

    fn check(&self, entry: &Entry) -> Result<(), RegisterError> {
        if self.closed {
            return Err(RegisterError::SystemStopped);
        }
        // One that ends from here on is removed after this, since that needs the lock.
        if entry.is_alive() { Ok(()) } else { Err(RegisterError::Stopped) }
    }

    pub(super) fn add_name(&mut self, name: Arc<str>, entry: Entry) -> Result<Displaced, RegisterError> {
        self.check(&entry)?;
        match self.living(&name) {
            Some(other) if other.id() == entry.id() => return Ok(vec![entry]),
            Some(other) => {
                return Err(RegisterError::NameTaken {
                    name: name.to_string(),
                    path: other.node.meta().path(),
                });
            }
            None => {}
        }
        let id = entry.id();
        if self.of.get(&id).is_some_and(|holdings| holdings.names.len() >= MAX_NAMES) {
            return Err(RegisterError::TooManyNames { max: MAX_NAMES });
        }
        let displaced = self.remove_name(&name);
        self.of.entry(id).or_default().names.push(name.clone());
        self.names.insert(name, entry);
        Ok(displaced.into_iter().collect())
    }

    pub(super) fn add_type(&mut self, entry: Entry) -> Result<Displaced, RegisterError> {
        self.check(&entry)?;
        match self.living_of_type(entry.actor_type) {
            Some(other) if other.id() == entry.id() => return Ok(vec![entry]),
            Some(other) => {
                let meta = other.node.meta();
                return Err(RegisterError::TypeTaken { type_name: meta.type_name(), path: meta.path() });
            }
            None => {}
        }
        let displaced = self.remove_type(entry.actor_type);
        self.of.entry(entry.id()).or_default().by_type = true;
        self.types.insert(entry.actor_type, entry);
        Ok(displaced.into_iter().collect())
    }

    pub(super) fn remove_name(&mut self, name: &str) -> Option<Entry> {
        let entry = self.names.remove(name)?;
        self.release(entry.id(), |holdings| holdings.names.retain(|other| **other != *name));
        Some(entry)
    }

    pub(super) fn remove_type(&mut self, actor_type: TypeId) -> Option<Entry> {
        let entry = self.types.remove(&actor_type)?;
        self.release(entry.id(), |holdings| holdings.by_type = false);
        Some(entry)
    }

    fn release(&mut self, id: ActorId, change: impl FnOnce(&mut Holdings)) {
        if let hash_map::Entry::Occupied(mut of) = self.of.entry(id) {
            change(of.get_mut());
            if of.get().names.is_empty() && !of.get().by_type {
                of.remove();
            }
        }
    }

    /// Everything that an actor has.
    pub(super) fn remove_all(&mut self, id: ActorId) -> Displaced {
        let Some(holdings) = self.of.remove(&id) else { return Vec::new() };
        let mut displaced: Displaced =
            holdings.names.iter().filter_map(|name| self.names.remove(name)).collect();
        if holdings.by_type {
            let actor_type = self.types.iter().find(|(_, entry)| entry.id() == id).map(|(key, _)| *key);
            displaced.extend(actor_type.and_then(|actor_type| self.types.remove(&actor_type)));
        }
        displaced
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.types.is_empty() && self.of.is_empty()
    }

    /// Takes no more, and gives up what is there.
    pub(super) fn close(&mut self) -> Displaced {
        let types = std::mem::take(&mut self.types).into_values();
        let all = std::mem::take(&mut self.names).into_values().chain(types).collect();
        self.of.clear();
        self.closed = true;
        all
    }
}
