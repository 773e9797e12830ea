//! The way back for a reply.

use std::{cell::Cell, thread::panicking};

use tokio::sync::oneshot;

use crate::{core::bury, error::AskError};

pub(crate) type Answer<R> = oneshot::Receiver<Result<R, AskError>>;

thread_local! {
    /// What an asker hears whose reply is dropped unanswered on this thread, while a generation is cleared away.
    static ENDING: Cell<Option<AskError>> = const { Cell::new(None) };
}

/// Puts back what was there, also when a subscriber for what is logged panics.
struct Before(Option<AskError>);

impl Drop for Before {
    fn drop(&mut self) {
        ENDING.set(self.0);
    }
}

/// Runs `f`; replies dropped in it tell their askers `why`.
pub(crate) fn ending<T>(why: AskError, f: impl FnOnce() -> T) -> T {
    let _before = Before(ENDING.replace(Some(why)));
    f()
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
        let unwanted = match self.0.take() {
            Some(sender) => sender.send(Ok(result)).err().and_then(Result::ok),
            None => Some(result),
        };
        // The asker may be gone: no fault of the actor's, whatever the result's Drop does.
        if let Some(result) = unwanted {
            bury(result);
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
            // The Drop of something beside it may panic as a generation is cleared away; that is not why it ended.
            let why =
                ENDING.get().unwrap_or(if panicking() { AskError::Panicked } else { AskError::Stopped });
            self.refuse(why);
        }
    }
}
