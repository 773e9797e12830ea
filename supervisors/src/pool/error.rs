//! [`ResizeError`].

/// Why a pool did not get another size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResizeError {
    /// The pool is not to be so large, or so small.
    #[error("a pool of {size} workers: it must have {min} to {max}")]
    OutOfBounds {
        /// What was asked for.
        size: usize,
        /// The smallest size.
        min: usize,
        /// The largest size.
        max: usize,
    },
    /// The pool is gone for good.
    #[error("the pool has stopped")]
    Stopped,
}
