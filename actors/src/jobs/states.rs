//! What jobs share: one value of each type.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    sync::Arc,
};

/// What jobs need beside their payload (a database pool, a client), one value of each type. Clones share the values.
#[derive(Clone, Default)]
pub struct States(Arc<HashMap<TypeId, Box<dyn Any + Send + Sync>>>);

/// A job asked for a state that nobody gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no state of type `{0}` was given: call `.state(…)` on the job registry's builder")]
pub struct MissingState(&'static str);

impl States {
    pub(super) fn new(values: HashMap<TypeId, Box<dyn Any + Send + Sync>>) -> Self {
        States(Arc::new(values))
    }

    /// The value of type `T`.
    ///
    /// # Errors
    /// None was given.
    pub fn get<T: Send + Sync + 'static>(&self) -> Result<&T, MissingState> {
        let found = self.0.get(&TypeId::of::<T>()).and_then(|value| value.downcast_ref());
        found.ok_or(MissingState(type_name::<T>()))
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "States({})", self.0.len())
    }
}
