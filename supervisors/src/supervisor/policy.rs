//! What a supervisor does in the cases that its [specification](crate::SupervisorSpec) decides.

/// Which children a crash concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// The one that crashed.
    #[default]
    OneForOne,
    /// All of them: the others are stopped in reverse order, then all are started again in order, when the backoff of
    /// the one that crashed is over. All keep their addresses and queues; temporary ones end for good.
    OneForAll,
    /// As [`OneForAll`](Self::OneForAll), for the one that crashed and those declared after it; those before it run on.
    RestForOne,
}

impl Strategy {
    /// OTP's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Strategy::OneForOne => "one_for_one",
            Strategy::OneForAll => "one_for_all",
            Strategy::RestForOne => "rest_for_one",
        }
    }
}

/// Whether a supervisor ends when its [significant](crate::ChildSpec::significant) children have ended by themselves. It then stops
/// the rest in reverse order and ends in order, which is no crash: a transient or temporary supervisor is gone, a permanent
/// one is restarted by the one above, which counts. A significant child that somebody stopped does not bring its
/// supervisor down, nor one that its supervisor stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AutoShutdown {
    /// It runs on. Significant children are refused.
    #[default]
    Never,
    /// When the first of them has ended.
    AnySignificant,
    /// When the last of them has ended.
    AllSignificant,
}

/// What happens when a child cannot be started the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnStartFailure {
    /// The children that have started are stopped again, and the supervisor's start has failed.
    #[default]
    Fail,
    /// It counts as a crash: the child is tried again after its backoff. One for one, the others are started meanwhile;
    /// under the other strategies those after it wait for it.
    Retry,
}

/// What happens when the restarts of a supervisor's children exceed its intensity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnExhausted {
    /// The supervisor stops all its children and gives up, which to its own supervisor is a crash.
    #[default]
    Escalate,
    /// The child is restarted for ever, at the longest backoff.
    RetryAtMaxBackoff,
}
