//! Waiting for what becomes of an actor or a supervisor.

use std::{future::Future, panic::Location};

use crate::{
    actor::Actor,
    meta::{State, StopReason},
    reference::{ActorHandle, ActorRef},
    supervisor::{DynamicSupervisor, Supervisor},
    testkit::DEADLINE,
};

mod sealed {
    pub trait Sealed {}
}

/// Whatever has a state: an actor's address, a handle, a supervisor. Nobody else implements it.
///
/// ```
/// # use callboard_supervisors::{testkit::*, *};
/// # #[derive(Message)]
/// # #[message(reply = u64)]
/// # struct Count;
/// # struct Counter(u64);
/// # impl Actor for Counter {
/// #     type Args = ();
/// #     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Counter(0)) }
/// # }
/// # impl PlainHandler<Count> for Counter {
/// #     type Reply = u64;
/// #     fn handle(&mut self, _: Count, _: &mut Context<Self>) -> u64 { self.0 += 1; self.0 }
/// # }
/// /// Whatever it is, it has never been restarted.
/// async fn is_first(of: &impl Observed) {
///     await_state(of, State::Running).await;
///     assert_eq!(await_generation(of, 0).await, 0);
/// }
///
/// run(async {
///     let spec = ChildSpec::<Counter>::new("counter", ());
///     let counter = spec.actor_ref();
///     let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
///     is_first(&counter).await;
///     is_first(&counter.handle()).await;
///     is_first(&system.root()).await;
///     system.shutdown().await;
/// });
/// ```
pub trait Observed: sealed::Sealed {
    #[doc(hidden)]
    fn observed(&self) -> ActorHandle;
}

impl sealed::Sealed for ActorHandle {}
impl<A: Actor> sealed::Sealed for ActorRef<A> {}
impl sealed::Sealed for Supervisor {}
impl sealed::Sealed for DynamicSupervisor {}

impl Observed for ActorHandle {
    fn observed(&self) -> ActorHandle {
        self.clone()
    }
}

impl<A: Actor> Observed for ActorRef<A> {
    fn observed(&self) -> ActorHandle {
        self.handle()
    }
}

impl Observed for Supervisor {
    fn observed(&self) -> ActorHandle {
        ActorHandle::of_node(self.node().clone())
    }
}

impl Observed for DynamicSupervisor {
    fn observed(&self) -> ActorHandle {
        ActorHandle::of_node(self.node().clone())
    }
}

/// Waits until it is in this state, 3 s at most. A state that it leaves at once, before the test has its turn, is not
/// seen: of an actor that is restarted without a pause this cannot see that it crashed, but [`await_generation`] can.
///
/// ```
/// # use callboard_supervisors::{testkit::*, *};
/// run(async {
///     let jobs = DynamicSupervisorSpec::new("jobs");
///     let handle = jobs.handle();
///     let system = TestSystem::start(SupervisorSpec::new("root").dynamic(jobs)).await;
///     system.root().child("jobs").expect("it was declared").restart();
///     await_generation(&handle, 1).await;
///     await_state(&handle, State::Running).await;
///     handle.stop();
///     assert_eq!(await_stopped(&handle).await, StopReason::Shutdown);
///     system.shutdown().await;
/// });
/// ```
///
/// # Panics
/// When it does not get there in time, or is gone for good and so never will.
#[track_caller]
pub fn await_state<O: Observed>(of: &O, state: State) -> impl Future<Output = ()> + use<O> {
    let at = Location::caller();
    let of = of.observed();
    async move {
        let there = |of: &ActorHandle| of.state() == state;
        wait_for(at, &of, &format!("to be {}", state.as_str()), there).await;
    }
}

/// Waits until this generation runs or a later one does, 3 s at most, and gives the generation. The first is 0.
///
/// # Panics
/// When none does in time, or it is gone for good and so none ever will.
#[track_caller]
pub fn await_generation<O: Observed>(of: &O, generation: u64) -> impl Future<Output = u64> + use<O> {
    let at = Location::caller();
    let of = of.observed();
    async move {
        let there = |of: &ActorHandle| {
            matches!(of.state(), State::Running | State::Suspended) && of.meta().generation() >= generation
        };
        wait_for(at, &of, &format!("to run in generation {generation}"), there).await;
        of.meta().generation()
    }
}

/// Waits until it is gone for good, 3 s at most, and gives the reason.
///
/// # Panics
/// When it is not gone in time.
#[track_caller]
pub fn await_stopped<O: Observed>(of: &O) -> impl Future<Output = StopReason> + use<O> {
    let at = Location::caller();
    let of = of.observed();
    async move {
        wait_for(at, &of, "to be gone for good", |of| !of.is_alive()).await;
        of.watch().await
    }
}

async fn wait_for(at: &Location<'_>, of: &ActorHandle, expected: &str, there: impl Fn(&ActorHandle) -> bool) {
    let settled = of.meta().wait_until(|state| state == State::Stopped || there(of));
    let seen = tokio::time::timeout(DEADLINE, settled).await;
    if seen.is_ok_and(|state| state != State::Stopped) || there(of) {
        return;
    }
    let meta = of.meta();
    let (state, generation) = (meta.state().as_str(), meta.generation());
    let before = meta.last_reason().map(|reason| format!("; it ended before: {reason}")).unwrap_or_default();
    panic!(
        "{at}: `{}` was expected {expected} within {DEADLINE:?}; it is {state} in generation {generation}{before}",
        of.path()
    );
}
