//! A test with the test kit.

use std::time::Duration;

use callboard_supervisors::{
    Actor, ChildSpec, Context, Message, PlainHandler, Recipient, StartError, SupervisorSpec,
    testkit::{Fault, Faults, Probe, TestSystem, await_generation, run},
};

#[derive(Message)]
struct Line(u32);

#[derive(Message)]
struct Batch(Vec<u32>);

/// Passes on what came in a second.
struct Batcher(Vec<u32>);

impl Actor for Batcher {
    type Args = Recipient<Batch>;
    async fn start(to: Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.interval(Duration::from_secs(1), move |batcher, _| {
            if to.tell(Batch(std::mem::take(&mut batcher.0))).is_err() {
                tracing::warn!("nobody takes the batch");
            }
        });
        Ok(Batcher(Vec::new()))
    }
}

impl PlainHandler<Line> for Batcher {
    type Reply = ();
    fn handle(&mut self, Line(line): Line, _: &mut Context<Self>) {
        self.0.push(line);
    }
}

#[test]
fn a_crash_costs_the_lines_in_hand_and_no_others() {
    run(async {
        let mut batches = Probe::<Batch>::new("batches"); // stands in for an actor
        let faults = Faults::new().on::<Line>(2, Fault::Panic); // the batcher's code knows nothing of it
        let spec = ChildSpec::<Batcher>::new("batcher", batches.recipient()).faults(faults);
        let batcher = spec.actor_ref();
        let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
        for line in 1..=4 {
            batcher.tell(Line(line)).expect("room");
        }
        await_generation(&batcher, 1).await;
        system.advance(Duration::from_secs(1)).await; // no test sleeps: the clock moves when it is told to
        assert_eq!(batches.expect().await.0, [3, 4]);
        system.shutdown().await; // fails the test if something did not stop in order
    });
}
