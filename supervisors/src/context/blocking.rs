//! Work that blocks its thread.

use std::future::Future;

use crate::{actor::Actor, context::Context};

impl<A: Actor> Context<A> {
    /// Runs work that blocks or computes for long on a thread where it holds up no actor, and gives what it gives. The
    /// future does not borrow the actor: await it in an `async` handler, or hand it to [`Later`](crate::Later) or
    /// [`spawn_then`](Self::spawn_then).
    ///
    /// At most [`ActorSystemBuilder::blocking_threads`](crate::ActorSystemBuilder::blocking_threads) of a system's
    /// actors do so at a time; others wait their turn. A panic in it ends this actor's generation as one in its handler
    /// does. A future that is dropped while it waits for its turn takes its work along; work that has begun cannot be
    /// interrupted: it runs to its end, nobody hears of it, and a shutdown waits for it no longer than for a handler
    /// that blocks.
    ///
    /// ```
    /// use callboard_supervisors::*;
    ///
    /// #[derive(Message)]
    /// #[message(reply = u64)]
    /// struct Sum(u64);
    ///
    /// struct Calculator;
    ///
    /// impl Actor for Calculator {
    ///     type Args = ();
    ///     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Calculator) }
    /// }
    ///
    /// impl PlainHandler<Sum> for Calculator {
    ///     type Reply = Later<u64>;
    ///     fn handle(&mut self, Sum(upto): Sum, cx: &mut Context<Self>) -> Later<u64> {
    ///         Later::new(cx.blocking(move || (1..=upto).sum()))
    ///     }
    /// }
    ///
    /// # tokio::runtime::LocalRuntime::new().unwrap().block_on(async {
    /// let spec = ChildSpec::<Calculator>::new("calculator", ());
    /// let calculator = spec.actor_ref();
    /// let system = ActorSystem::builder("example").executors(1).start(SupervisorSpec::new("root").child(spec)).await?;
    /// assert_eq!(calculator.ask(Sum(1_000)).await, Ok(500_500));
    /// # system.shutdown(std::time::Duration::from_secs(5)).await;
    /// # Ok::<(), StartSystemError>(())
    /// # }).unwrap();
    /// ```
    pub fn blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = T> + use<A, T, F> {
        self.shared.meta.blocking().run(work)
    }
}
