//! What can go wrong with signals and states.

/// Why a run gets no signal, or cannot use it. `?` makes a failed attempt of it, or the right end of one that was to end anyway.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignalError {
    /// The run is to end: somebody cancelled the job, its time is over, or the node stops. What was not taken goes to the next
    /// attempt, if there is one.
    #[error("the run is to end, and waits for no signal any more")]
    Cancelled,
    /// The run has ended, and what goes on of it gets nothing any more.
    #[error("the run has ended, and gets no signals any more")]
    Ended,
    /// What it says is not what is needed.
    #[error("signal {number} ({name}, sent by {by}) does not say what is needed: {problem}")]
    Unfit {
        /// Its number.
        number: u32,
        /// Its name.
        name: String,
        /// Who sent it.
        by: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The attempt was taken for dead; another one has the job.
    #[error("the attempt was taken for dead, and its word counts no more")]
    Stale,
    /// The store cannot do it now.
    #[error("the signal cannot be acknowledged: {0}")]
    Unavailable(String),
}

/// Why a state was not published. The one before it stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// It is too large.
    #[error("the state has {bytes} bytes of JSON; {limit} are allowed")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The size allowed.
        limit: usize,
    },
    /// It cannot be written as JSON.
    #[error("the state cannot be written as JSON: {0}")]
    NoJson(String),
}
