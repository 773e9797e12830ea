//! [`Make`]: how a pool's workers are made.

use crate::{actor::Actor, supervisor::ChildSpec};

/// A function that can be cloned although its type is erased. What it captures need not be `Sync`.
pub(super) trait Make<T>: Send {
    fn make(&self, worker: usize) -> T;
    fn boxed(&self) -> Box<dyn Make<T>>;
}

impl<T, F: Fn(usize) -> T + Clone + Send + 'static> Make<T> for F {
    fn make(&self, worker: usize) -> T {
        self(worker)
    }

    fn boxed(&self) -> Box<dyn Make<T>> {
        Box::new(self.clone())
    }
}

impl<T> Clone for Box<dyn Make<T>> {
    fn clone(&self) -> Self {
        (**self).boxed()
    }
}

/// One specification after another, as often as a worker is to be started.
pub(super) struct Maker<A: Actor>(Box<dyn Make<ChildSpec<A>>>);

impl<A: Actor> Clone for Maker<A> {
    fn clone(&self) -> Self {
        Maker(self.0.clone())
    }
}

impl<A: Actor> Maker<A> {
    pub(super) fn new(args: impl Fn(usize) -> A::Args + Clone + Send + 'static) -> Self {
        Maker(Box::new(move |worker: usize| ChildSpec::new(worker.to_string(), args(worker))))
    }

    pub(super) fn then(
        self,
        settings: impl Fn(usize, ChildSpec<A>) -> ChildSpec<A> + Clone + Send + 'static,
    ) -> Self {
        let Maker(maker) = self;
        Maker(Box::new(move |worker: usize| settings(worker, maker.make(worker))))
    }

    /// Runs user code.
    pub(super) fn make(&self, worker: usize) -> Result<ChildSpec<A>, String> {
        let spec = self.0.make(worker);
        let made = spec.actor_ref();
        if made.name() == worker.to_string() {
            return Ok(spec);
        }
        Err(format!(
            "`PoolSpec::worker` made worker {worker} another one, `{}`; give back the one that it gets",
            made.name()
        ))
    }
}
