//! The test kit on an actor that collects lines: `cargo run --example testing --no-default-features --features testkit`.
//!
//! What `main` calls here would be a `#[test] fn` each.

use std::time::Duration;

use callboard::{
    Actor, ChildSpec, Context, Message, PlainHandler, Recipient, StartError, SupervisorSpec,
    testkit::{Fault, Faults, Probe, TestSystem, await_generation, explore, run},
};

/// How long a line waits at most for others.
const PATIENCE: Duration = Duration::from_millis(100);

#[derive(Message)]
struct Line(u32);

/// What is passed on: three lines, or those of a while.
#[derive(Message)]
struct Batch(Vec<u32>);

struct Batcher {
    lines: Vec<u32>,
    sink: Recipient<Batch>,
}

impl Actor for Batcher {
    type Args = Recipient<Batch>;
    async fn start(sink: Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.interval(PATIENCE, |batcher, _| batcher.flush());
        Ok(Batcher { lines: Vec::new(), sink })
    }

    async fn stopping(&mut self, _: &mut Context<Self>) {
        self.flush();
    }
}

impl Batcher {
    fn flush(&mut self) {
        if !self.lines.is_empty() && self.sink.tell(Batch(std::mem::take(&mut self.lines))).is_err() {
            println!("nobody takes the lines");
        }
    }
}

impl PlainHandler<Line> for Batcher {
    type Reply = ();
    fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
        self.lines.push(line);
        if self.lines.len() == 3 {
            self.flush();
        }
    }
}

/// No test sleeps: time passes when the test says so, or when nothing else can happen.
fn lines_go_on_by_number_or_by_time() {
    run(async {
        let mut sink = Probe::<Batch>::new("sink");
        let spec = ChildSpec::<Batcher>::new("batcher", sink.recipient());
        let batcher = spec.actor_ref();
        let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
        for line in 1..=4 {
            batcher.tell(Line(line)).expect("room");
        }
        assert_eq!(sink.expect().await.0, [1, 2, 3]);
        sink.expect_none_within(PATIENCE - Duration::from_millis(1)).await;
        system.advance(Duration::from_millis(1)).await;
        assert_eq!(sink.expect().await.0, [4]);
        batcher.tell(Line(5)).expect("room");
        system.shutdown().await;
        assert_eq!(sink.expect().await.0, [5]);
    });
    println!("lines go on by number, by time, and at the end");
}

/// The batcher's code knows nothing of the fault.
fn a_panic_costs_the_lines_in_hand_and_no_others() {
    run(async {
        let mut sink = Probe::<Batch>::new("sink");
        let faults = Faults::new().on::<Line>(2, Fault::Panic);
        let spec = ChildSpec::<Batcher>::new("batcher", sink.recipient()).faults(faults);
        let batcher = spec.actor_ref();
        let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
        for line in 1..=5 {
            batcher.tell(Line(line)).expect("room");
        }
        await_generation(&batcher, 1).await;
        assert_eq!(sink.expect().await.0, [3, 4, 5]);
        system.shutdown().await;
    });
    println!("a panic costs the lines in hand, and no others");
}

/// Each seed is another order of events, the same each time.
fn no_order_of_events_loses_a_line() {
    explore(0..100, async |seed| {
        let mut sink = Probe::<Batch>::new("sink");
        let specs = ["one", "two"].map(|name| ChildSpec::<Batcher>::new(name, sink.recipient()));
        let batchers = specs.each_ref().map(ChildSpec::actor_ref);
        let root = specs.into_iter().fold(SupervisorSpec::new("root"), SupervisorSpec::child);
        let system = TestSystem::seeded(seed, root).await;
        for line in 0..10 {
            batchers[line % 2].send(Line(u32::try_from(line).expect("a small number"))).await.expect("room");
        }
        system.settle().await;
        system.shutdown().await;
        let mut lines: Vec<u32> = sink.take_all().into_iter().flat_map(|batch| batch.0).collect();
        lines.sort_unstable();
        assert_eq!(lines, (0..10).collect::<Vec<u32>>());
    });
    println!("no line is lost in 100 orders of events");
}

fn main() {
    lines_go_on_by_number_or_by_time();
    a_panic_costs_the_lines_in_hand_and_no_others();
    no_order_of_events_loses_a_line();
}
