//! What the runtime says in the log before anything goes wrong.

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use callboard_supervisors::{ActorSystem, Backoff, ChildSpec, OnExhausted, SupervisorSpec};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::with_default,
};

use crate::worker::{Worker, local, ms, steady};

/// Writes down what is worth a warning.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, "{field}={value:?} ").expect("a string takes everything");
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().expect("no panic").push(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What is said when a tree with this supervisor starts.
fn warned(part: impl FnOnce(SupervisorSpec) -> SupervisorSpec) -> Vec<String> {
    let warnings = Warnings::default();
    with_default(warnings.clone(), || {
        local(async {
            let part = part(SupervisorSpec::new("part")).child(ChildSpec::<Worker>::new("worker", ()));
            let root = SupervisorSpec::new("root").supervisor(part);
            let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
            assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        });
    });
    let lines = warnings.0.lock().expect("no panic");
    lines.clone()
}

const PERIOD: Duration = Duration::from_secs(60);

#[test]
fn a_budget_that_one_child_cannot_use_up_is_warned_of_at_start() {
    // Eight pauses of 10 s are longer than the minute in which they would count.
    let lines = warned(|part| part.intensity(8, PERIOD).backoff(steady(Duration::from_secs(10))));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("cannot use up the budget"), "{lines:?}");
    assert!(lines[0].contains("supervisor=\"part\""), "{lines:?}");
}

#[test]
fn a_budget_that_can_be_used_up_is_not_warned_of() {
    assert_eq!(warned(|part| part), Vec::<String>::new(), "the defaults are sound");
    assert_eq!(warned(|part| part.intensity(8, PERIOD).backoff(steady(ms(7500)))), Vec::<String>::new());
    // Where nothing happens when it is used up, it need not be reachable.
    let retries = |part: SupervisorSpec| {
        let part = part.intensity(8, PERIOD).backoff(steady(Duration::from_secs(10)));
        part.on_exhausted(OnExhausted::RetryAtMaxBackoff)
    };
    assert_eq!(warned(retries), Vec::<String>::new());
    assert_eq!(warned(|part| part.intensity(0, PERIOD).backoff(Backoff::default())), Vec::<String>::new());
}
