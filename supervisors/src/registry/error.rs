//! Why an actor did not get its name, or was not found.

/// Why an actor was not registered.
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system has stopped")]
pub struct NoMoreNames;
