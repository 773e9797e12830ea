//! Why an actor did not get into a group or a topic.

/// Why an actor did not join a [`Group`](crate::Group).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The group has as many members as it may have.
    #[error("the group has its {max} members already")]
    Full {
        /// That many.
        max: usize,
    },
    /// The actor is gone for good.
    #[error("the actor has stopped")]
    Stopped,
}

/// Why an actor did not subscribe to a [`Topic`](crate::Topic).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The topic has as many subscribers as it may have.
    #[error("the topic has its {max} subscribers already")]
    Full {
        /// That many.
        max: usize,
    },
    /// The actor is gone for good.
    #[error("the actor has stopped")]
    Stopped,
}
