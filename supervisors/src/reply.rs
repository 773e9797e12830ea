//! The way back for a reply.

use std::{cell::Cell, thread::panicking};

use tokio::sync::oneshot;

use crate::error::AskError;

pub(crate) type Answer<R> = oneshot::Receiver<Result<R, AskError>>;

thread_local! {
    /// What an asker hears whose reply is dropped unanswered on this thread.
    static ENDING: Cell<AskError> = const { Cell::new(AskError::Stopped) };
}

/// Runs `f`; replies dropped in it tell their askers `why`.
pub(crate) fn ending<T>(why: AskError, f: impl FnOnce() -> T) -> T {
    let before = ENDING.replace(why);
    let result = f();
    ENDING.set(before);
    result
}

/// Where the reply goes. Dropped unused, it tells the asker why.
#[doc(hidden)]
pub struct ReplyTo<R>(Option<oneshot::Sender<Result<R, AskError>>>);

impl<R> ReplyTo<R> {
    pub(crate) fn nobody() -> Self {
        ReplyTo(None)
    }

    pub(crate) fn pair() -> (Self, Answer<R>) {
        let (sender, answer) = oneshot::channel();
        (ReplyTo(Some(sender)), answer)
    }

    pub(crate) fn send(mut self, result: R) {
        if let Some(sender) = self.0.take() {
            // The asker may be gone; then its result is dropped here.
            let _ = sender.send(Ok(result));
        }
    }

    pub(crate) fn refuse(&mut self, why: AskError) {
        if let Some(sender) = self.0.take() {
            let _ = sender.send(Err(why));
        }
    }

    /// Whether somebody asked.
    #[cfg(feature = "testkit")]
    pub(crate) fn is_asked(&self) -> bool {
        self.0.is_some()
    }

    /// Whether the asker went away.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.0.as_ref().is_some_and(oneshot::Sender::is_closed)
    }
}

impl<R> Drop for ReplyTo<R> {
    fn drop(&mut self) {
        if self.0.is_some() {
            let why = if panicking() { AskError::Panicked } else { ENDING.get() };
            self.refuse(why);
        }
    }
}
