//! [`Copies`]: one message for each of many.

use crate::core::bury;

/// Clones a message as often as it is asked to; the last one is the message itself. Neither a panicking `Clone` nor a
/// panicking `Drop` does any harm: a panic of `Clone` reaches the caller, after the message is gone.
pub(crate) struct Copies<M> {
    message: Option<M>,
    left: usize,
}

impl<M: Clone> Copies<M> {
    pub(crate) fn new(message: M, count: usize) -> Self {
        Copies { message: Some(message), left: count }
    }

    /// None when all are given away.
    pub(crate) fn next(&mut self) -> Option<M> {
        self.left = self.left.checked_sub(1)?;
        if self.left == 0 { self.message.take() } else { self.message.clone() }
    }
}

/// What is left may go during the unwind of a `Clone` that panicked; a second panic must not get out.
impl<M> Drop for Copies<M> {
    fn drop(&mut self) {
        bury(self.message.take());
    }
}
