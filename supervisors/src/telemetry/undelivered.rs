//! [`Undelivered`]: messages that no actor handled.

use std::{fmt, sync::Arc};

use crate::{error::AskError, meta::ActorId};

/// A message was taken and will not be handled.
///
/// A message that is not taken goes back to its sender as a [`SendError`](crate::SendError), and is not told of here;
/// neither is the one in hand when an actor panics, which the [`CrashRecord`](crate::CrashRecord) names. See
/// [`ActorSystemBuilder::undelivered`](crate::ActorSystemBuilder::undelivered).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Undelivered {
    /// To whom it was sent.
    pub actor: ActorId,
    /// The actor's path within the system.
    pub path: String,
    /// The message's Rust type.
    pub message_type: &'static str,
    /// Why it was not handled.
    pub reason: UndeliveredReason,
}

/// Why a message was not handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UndeliveredReason {
    /// The actor is gone for good.
    Stopped,
    /// There was no room, and the mailbox drops what comes last (`DropNewest`).
    Refused,
    /// There was no room, and the mailbox drops what has waited longest (`DropOldest`).
    Evicted,
    /// A newer one with the same key took its place (see [`Handler::coalesce`](crate::Handler::coalesce)).
    Replaced,
    /// Whoever asked went away before the actor came to it.
    Abandoned,
}

impl UndeliveredReason {
    /// In lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            UndeliveredReason::Stopped => "stopped",
            UndeliveredReason::Refused => "refused",
            UndeliveredReason::Evicted => "evicted",
            UndeliveredReason::Replaced => "replaced",
            UndeliveredReason::Abandoned => "abandoned",
        }
    }

    /// What the asker hears.
    pub(crate) fn to_asker(self) -> AskError {
        match self {
            UndeliveredReason::Stopped | UndeliveredReason::Abandoned => AskError::Stopped,
            UndeliveredReason::Refused => AskError::Refused,
            UndeliveredReason::Evicted | UndeliveredReason::Replaced => AskError::Evicted,
        }
    }
}

impl fmt::Display for UndeliveredReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whom undelivered messages are told.
pub(crate) type UndeliveredHook = Arc<dyn Fn(&Undelivered) + Send + Sync>;
