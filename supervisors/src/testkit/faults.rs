//! [`Faults`]: what goes wrong with an actor, and when.

use std::{collections::VecDeque, time::Duration};

use crate::{actix::Message, actor::StartError};

/// What happens to a message.
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
/// # use std::time::Duration;
/// run(async {
///     let faults = Faults::new()
///         .on::<Count>(1, Fault::Delay(Duration::from_secs(2)))
///         .on::<Count>(2, Fault::Drop)
///         .on::<Count>(3, Fault::Panic);
///     let spec = ChildSpec::<Counter>::new("counter", ()).faults(faults);
///     let counter = spec.actor_ref();
///     let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
///     let began = tokio::time::Instant::now();
///     assert_eq!(counter.ask(Count).await, Ok(1));
///     assert!(began.elapsed() >= Duration::from_secs(2)); // of the paused clock
///     assert_eq!(counter.ask(Count).await, Err(AskError::Stopped));
///     assert_eq!(counter.ask(Count).await, Err(AskError::Panicked));
///     system.shutdown().await;
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The actor panics in place of handling it: the generation ends, and the asker hears `Panicked`.
    Panic,
    /// It is handled so much later; the actor handles nothing else meanwhile, as if it awaited in a handler.
    Delay(Duration),
    /// It is lost unhandled; the asker hears `Stopped`.
    Drop,
}

#[derive(Clone, Debug)]
struct Rule {
    /// The message's type; none for any.
    message: Option<&'static str>,
    nth: u64,
    fault: Fault,
}

/// A script of faults for one actor, given to its specification with
/// [`ChildSpec::faults`](crate::ChildSpec::faults). The actor's own code does not know of it.
///
/// Counting begins at 1 and goes on over all generations. A message counts when its turn has come to be handled,
/// whatever becomes of it. Several faults may meet one message: they happen in the order in which they were named.
///
/// ```
/// use callboard_supervisors::{testkit::*, *};
/// use std::time::Duration;
///
/// #[derive(Message)]
/// #[message(reply = u64)]
/// struct Generation;
///
/// struct Worker;
///
/// impl Actor for Worker {
///     type Args = ();
///     async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> { Ok(Worker) }
/// }
///
/// impl PlainHandler<Generation> for Worker {
///     type Reply = u64;
///     fn handle(&mut self, _: Generation, cx: &mut Context<Self>) -> u64 { cx.generation() }
/// }
///
/// run(async {
///     let faults = Faults::new().on::<Generation>(2, Fault::Panic).on_any(3, Fault::Drop).on_start(2);
///     let spec = ChildSpec::<Worker>::new("worker", ()).faults(faults);
///     let worker = spec.actor_ref();
///     let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
///     assert_eq!(worker.ask(Generation).await, Ok(0));
///     assert_eq!(worker.ask(Generation).await, Err(AskError::Panicked));
///     assert_eq!(worker.ask(Generation).await, Err(AskError::Stopped));
///     // The second start failed, so this is the third generation.
///     assert_eq!(worker.ask(Generation).await, Ok(2));
///     system.shutdown().await;
/// });
/// ```
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Vec<Rule>,
    starts: Vec<u64>,
}

impl Faults {
    /// None yet.
    pub fn new() -> Self {
        Faults::default()
    }

    /// Meets the `nth` message of this type.
    #[must_use]
    pub fn on<M: Message>(self, nth: u64, fault: Fault) -> Self {
        self.rule(Some(std::any::type_name::<M>()), nth, fault)
    }

    /// Meets the `nth` message, whatever its type.
    #[must_use]
    pub fn on_any(self, nth: u64, fault: Fault) -> Self {
        self.rule(None, nth, fault)
    }

    /// Has the `nth` start fail, before [`Actor::start`](crate::Actor::start) is called.
    #[must_use]
    pub fn on_start(mut self, nth: u64) -> Self {
        self.starts.push(nth);
        self
    }

    fn rule(mut self, message: Option<&'static str>, nth: u64, fault: Fault) -> Self {
        self.rules.push(Rule { message, nth, fault });
        self
    }

    /// Whether a fault would never happen.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let mut numbers = self.rules.iter().map(|rule| rule.nth).chain(self.starts.iter().copied());
        numbers.any(|nth| nth == 0).then_some("faults count from 1: there is no message or start number 0")
    }
}

/// How far the script got.
#[derive(Debug, Default)]
pub(crate) struct Script {
    faults: Faults,
    /// Beside each rule: so many messages that it concerns have had their turn.
    counts: Vec<u64>,
    starts: u64,
    /// The message whose turn it is was counted, and these are left of what it meets.
    due: Option<VecDeque<Fault>>,
}

impl Script {
    pub(crate) fn new(faults: Faults) -> Self {
        Script { counts: vec![0; faults.rules.len()], faults, ..Script::default() }
    }

    /// The next that meets the message whose turn it is. None: it is handled. To be asked again about the same message
    /// after a delay, and not after anything else.
    pub(crate) fn next(&mut self, message: &str) -> Option<Fault> {
        let due = match &mut self.due {
            Some(due) => due,
            none => none.insert(
                self.faults
                    .rules
                    .iter()
                    .zip(&mut self.counts)
                    .filter(|(rule, _)| rule.message.is_none_or(|name| name == message))
                    .filter_map(|(rule, count)| {
                        *count += 1;
                        (rule.nth == *count).then_some(rule.fault)
                    })
                    .collect(),
            ),
        };
        let fault = due.pop_front();
        if !matches!(fault, Some(Fault::Delay(_))) {
            self.due = None;
        }
        fault
    }

    /// Whether the start that is under way fails.
    pub(crate) fn start(&mut self) -> Result<(), StartError> {
        self.starts += 1;
        if self.faults.starts.contains(&self.starts) {
            return Err(format!("scripted fault: start number {} fails", self.starts).into());
        }
        Ok(())
    }
}
