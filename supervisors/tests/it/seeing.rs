//! What can be seen of a system while it runs.

use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

use callboard_supervisors::{
    Actor, ActorSystem, Change, ChangeFeed, ChangeKind, ChildSpec, Context, DynamicSupervisorSpec, Handler,
    Later, Message, Missed, Placement, PlainHandler, StartError, State, StopReason, SupervisorSpec,
};
use tracing::{Id, Subscriber, span};
use tracing_subscriber::{Layer, layer, layer::SubscriberExt, registry};

use crate::worker::{Count, Hold, Panic, Place, Worker, alone, local, ms, steady};

async fn next(changes: &mut ChangeFeed) -> Change {
    changes.next().await.expect("the system lives").expect("none is missed")
}

#[test]
fn the_feed_tells_each_change_in_order_and_ends_with_the_system() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let inner = ActorSystem::clone(&system);
        let mut changes = system.changes();
        worker.ask(Panic(Place::Plain)).await.expect_err("a panic");
        worker.ask(Count).await.expect("an answer");
        worker.suspend();
        worker.inspect().await.expect("it is there");
        worker.resume();
        worker.inspect().await.expect("it is there");
        worker.stop();
        worker.watch().await;
        system.shutdown().await;
        let mut seen = Vec::new();
        let mut number = 0;
        while let Some(change) = changes.next().await {
            let change = change.expect("none is missed");
            assert_eq!(change.number, number);
            number += 1;
            seen.push(match change.kind {
                ChangeKind::State { state, generation } => {
                    format!("{} {} {generation}", change.path, state.as_str())
                }
                ChangeKind::Crashed(crash) => format!("{} crashed in {}", change.path, crash.generation),
                ChangeKind::Ended(reason) => format!("{} ended: {reason}", change.path),
                other => panic!("{other:?}"),
            });
        }
        assert_eq!(
            seen,
            [
                "worker crashed in 0",
                "worker crashed 0",
                "worker starting 1",
                "worker running 1",
                "worker suspended 1",
                "worker running 1",
                "worker stopping 1",
                "worker stopped 1",
                "worker ended: stopped in order",
                " stopping 0",
                " stopped 0",
                " ended: stopped in order",
            ]
        );
        let mut late = inner.changes();
        assert!(late.next().await.is_none());
    });
}

#[test]
fn a_slow_reader_hears_how_much_it_missed_and_reads_on() {
    local(async {
        let (system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        let mut changes = system.changes();
        for _ in 0..2100 {
            worker.suspend();
            worker.inspect().await.expect("it is there");
            worker.resume();
            worker.inspect().await.expect("it is there");
        }
        assert_eq!(changes.next().await.map(Result::err), Some(Some(Missed(104))));
        assert_eq!(next(&mut changes).await.number, 104);
    });
}

#[test]
fn handlers_are_measured_from_samples() {
    local(async {
        let spec = ChildSpec::<Worker>::new("worker", ());
        let worker = spec.actor_ref();
        let root = SupervisorSpec::new("root").child(spec);
        let builder = ActorSystem::builder("test").local().sample_latency(3);
        let system = builder.start(root).await.expect("a system");
        for _ in 0..40 {
            worker.ask(Count).await.expect("an answer");
        }
        let latency = worker.snapshot().latency.expect("samples");
        assert_eq!(latency.samples(), 10, "one of four, the next power of two");
        let (half, all) = (latency.quantile(0.5).expect("samples"), latency.quantile(1.0).expect("samples"));
        assert!(half <= all && all < Duration::MAX);
        assert_eq!(latency.buckets().map(|(_, count)| u64::from(count)).sum::<u64>(), 10);
        system.shutdown(ms(100)).await;
        let (_system, worker) = alone(ChildSpec::<Worker>::new("worker", ())).await;
        for _ in 0..63 {
            worker.ask(Hold(ms(0))).await.expect("an answer");
        }
        assert_eq!(worker.snapshot().latency, None);
        worker.ask(Hold(ms(0))).await.expect("an answer");
        assert_eq!(worker.snapshot().latency.expect("a sample").samples(), 1);
    });
}

/// Blocks its thread until it is let go.
struct Blocker;

impl Actor for Blocker {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Blocker)
    }
}

#[derive(Message)]
struct Block(mpsc::Receiver<()>);

impl PlainHandler<Block> for Blocker {
    type Reply = ();
    fn handle(&mut self, Block(gate): Block, _: &mut Context<Self>) {
        gate.recv().expect_err("the gate is dropped");
    }
}

#[derive(Message)]
struct Await(tokio::sync::oneshot::Receiver<()>);

impl Handler<Await> for Blocker {
    async fn handle(&mut self, Await(gate): Await, _: &mut Context<Self>) {
        gate.await.expect_err("the gate is dropped");
    }
}

async fn stalled(changes: &mut ChangeFeed) -> (String, &'static str, bool) {
    loop {
        let change = next(changes).await;
        if let ChangeKind::Stalled { message_type, blocks_thread, busy } = change.kind {
            assert!(busy >= ms(20));
            return (change.path, message_type.rsplit("::").next().expect("a name"), blocks_thread);
        }
    }
}

#[tokio::test]
async fn the_watchdog_names_who_is_stuck_in_what_once_and_whether_the_thread_is_blocked() {
    let [one, two] = ["one", "two"].map(|name| ChildSpec::<Blocker>::new(name, ()));
    let (blocked, waiting) = (one.actor_ref(), two.actor_ref());
    let root = SupervisorSpec::new("root").child(one.placement(Placement::Workers)).child(two);
    let builder = ActorSystem::builder("test").executors(1).watchdog(Some(ms(20)));
    let system = builder.start(root).await.expect("a system");
    let mut changes = system.changes();
    let (open, gate) = tokio::sync::oneshot::channel();
    waiting.tell(Await(gate)).expect("room");
    assert_eq!(stalled(&mut changes).await, ("two".into(), "Await", false));
    let (let_go, gate) = mpsc::channel();
    blocked.tell(Block(gate)).expect("room");
    // The first is in the same message still, and is not told of again.
    assert_eq!(stalled(&mut changes).await, ("one".into(), "Block", true));
    let current = system.snapshot().find("one").and_then(|one| one.current).expect("a message in hand");
    assert!(current.busy >= ms(20) && current.message_type.ends_with("Block"));
    drop((let_go, open));
    let (open, gate) = tokio::sync::oneshot::channel();
    blocked.tell(Await(gate)).expect("room");
    assert_eq!(stalled(&mut changes).await, ("one".into(), "Await", false));
    drop(open);
    assert!(system.shutdown(Duration::from_secs(10)).await.is_clean());
}

/// Writes down which spans there are, and what they follow from.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<SpansSeen>>);

#[derive(Default)]
struct SpansSeen {
    names: Vec<(&'static str, u64)>,
    follows: Vec<(usize, usize)>,
    entered: Vec<u64>,
}

impl<S: Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, id: &Id, _: layer::Context<'_, S>) {
        let mut seen = self.0.lock().expect("no panic");
        let name = attributes.metadata().name();
        assert!(name != "message" || attributes.is_root());
        seen.names.push((name, id.into_u64()));
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, _: layer::Context<'_, S>) {
        let mut seen = self.0.lock().expect("no panic");
        let place = |id: &Id| seen.names.iter().position(|(_, other)| *other == id.into_u64());
        let edge = (place(span).expect("it is known"), place(follows).expect("it is known"));
        seen.follows.push(edge);
    }

    fn on_enter(&self, span: &Id, _: layer::Context<'_, S>) {
        self.0.lock().expect("no panic").entered.push(span.into_u64());
    }

    fn on_exit(&self, span: &Id, _: layer::Context<'_, S>) {
        let last = self.0.lock().expect("no panic").entered.pop();
        assert_eq!(last, Some(span.into_u64()), "spans are left in reverse order");
    }
}

/// Sends itself on, from each handler kind.
#[derive(Message)]
struct Onward(Vec<Onward>, Kind);

enum Kind {
    Plain,
    Later,
}

impl PlainHandler<Onward> for Blocker {
    type Reply = Later<()>;
    fn handle(&mut self, Onward(next, kind): Onward, cx: &mut Context<Self>) -> Later<()> {
        let myself = cx.myself();
        let send = move || next.into_iter().for_each(|next| myself.tell(next).expect("room"));
        match kind {
            Kind::Plain => {
                send();
                Later::ready(())
            }
            Kind::Later => Later::new(async move {
                tokio::task::yield_now().await;
                send();
            }),
        }
    }
}

#[test]
fn each_message_has_a_root_span_that_follows_from_the_senders() {
    let spans = Spans::default();
    // As long as there is one subscriber only, tracing judges a place in the code by that of the thread that comes there
    // first, which may be another test's and have none.
    let _another = tracing::Dispatch::new(registry());
    tracing::subscriber::with_default(registry().with(spans.clone()), || {
        local(async {
            let spec = ChildSpec::<Blocker>::new("one", ());
            let actor = spec.actor_ref();
            let root = SupervisorSpec::new("root").child(spec);
            let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
            let third = Onward(vec![], Kind::Plain);
            let second = Onward(vec![third], Kind::Later);
            tracing::info_span!("outer")
                .in_scope(|| actor.tell(Onward(vec![second], Kind::Plain)).expect("room"));
            tokio::time::sleep(ms(10)).await;
            system.shutdown(ms(100)).await;
        });
    });
    let seen = spans.0.lock().expect("no panic");
    let names: Vec<_> = seen.names.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["outer", "message", "message", "message"]);
    assert_eq!(seen.follows, [(1, 0), (2, 1), (3, 2)]);
    assert!(seen.entered.is_empty());
}

/// Replaces what differs from run to run.
fn steady_ids(text: &str, system: &ActorSystem) -> String {
    let snapshot = system.snapshot();
    let mut text = text.to_owned();
    let mut ids: Vec<_> = snapshot.root.walk().map(|node| node.id.get()).collect();
    ids.sort_unstable();
    for (number, id) in ids.iter().enumerate().rev() {
        text = text.replace(&format!("actor_{id}"), &format!("node_{number}"));
    }
    text
}

#[test]
fn a_tree_can_be_drawn() {
    local(async {
        let one = ChildSpec::<Worker>::new("one \"quoted\" <b>", ());
        let two = ChildSpec::<Worker>::new("two", ());
        let (first, second) = (one.actor_ref(), two.actor_ref());
        let rest = DynamicSupervisorSpec::new("rest").backoff(steady(ms(10)));
        let root = SupervisorSpec::new("root").child(one).child(two).dynamic(rest);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        for _ in 0..3 {
            first.ask(Count).await.expect("an answer");
        }
        second.suspend();
        second.inspect().await.expect("it is there");
        second.tell(Count).expect("room");
        let snapshot = system.snapshot();
        insta::assert_snapshot!("tree_dot", steady_ids(&snapshot.to_dot(), &system));
        insta::assert_snapshot!("tree_mermaid", steady_ids(&snapshot.to_mermaid(), &system));
        let mut json = snapshot.to_json();
        let now = json["at"].take();
        assert!(now.as_str().is_some_and(|now| now.ends_with('Z')), "{now}");
        assert!(json["blocking"]["limit"].take().as_u64() > Some(0), "as many as the machine has cores");
        let id = snapshot.root.id.get();
        assert_eq!(json["root"]["id"].take(), id);
        for child in json["root"]["children"].as_array_mut().expect("children") {
            assert!(child["id"].take().as_u64() > Some(0));
        }
        insta::assert_json_snapshot!("tree_json", json);
    });
}

#[test]
fn ends_and_states_are_told_also_of_supervisors() {
    local(async {
        let group = SupervisorSpec::new("group").intensity(0, Duration::from_secs(1));
        let spec = ChildSpec::<Worker>::new("worker", ());
        let worker = spec.actor_ref();
        let root = SupervisorSpec::new("root").backoff(steady(ms(10))).supervisor(group.child(spec));
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        let mut changes = system.changes();
        worker.ask(Panic(Place::Plain)).await.expect_err("a panic");
        worker.ask(Count).await.expect("an answer");
        system.shutdown(ms(100)).await;
        let (mut crashes, mut ends, mut starts) = (Vec::new(), Vec::new(), 0);
        while let Some(change) = changes.next().await {
            let change = change.expect("none is missed");
            match change.kind {
                ChangeKind::Crashed(_) => crashes.push(change.path),
                ChangeKind::Ended(reason) => ends.push((change.path, reason)),
                ChangeKind::State { state: State::Running, .. } => starts += 1,
                _ => {}
            }
        }
        assert_eq!(crashes, ["group/worker", "group"]);
        assert_eq!(starts, 2);
        let ended = |path: &str| (path.to_owned(), StopReason::Shutdown);
        assert_eq!(ends, [ended("group/worker"), ended("group"), ended("")]);
    });
}
