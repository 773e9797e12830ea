//! Timers, later messages, streams.

use std::time::Duration;

use callboard_supervisors::{
    Actor, ChildSpec, Context, Message, PlainHandler, Recipient, StartError, SupervisorSpec,
    testkit::{Probe, TestSystem, run},
};
use futures_util::stream;
use tokio::sync::mpsc;

#[derive(Message)]
struct Reading(u32);

#[derive(Message, Debug, PartialEq)]
struct Report(String);

/// Stands for a device: it writes as fast as somebody reads.
async fn device(readings: mpsc::Sender<Reading>) {
    for number in 1..=3 {
        if readings.send(Reading(number)).await.is_err() {
            return; // the reader is gone
        }
    }
}

async fn greeting() -> String {
    "hello".to_owned()
}

#[derive(Default)]
struct Meter {
    sum: u32,
    to: Option<Recipient<Report>>,
}

impl Meter {
    fn report(&self, text: impl Into<String>) {
        if let Some(to) = &self.to
            && to.tell(Report(text.into())).is_err()
        {
            tracing::warn!("nobody takes reports");
        }
    }
}

impl Actor for Meter {
    type Args = Recipient<Report>;
    async fn start(to: Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        // With the state at hand:
        cx.interval(Duration::from_secs(60), |meter, _| meter.report(format!("sum {}", meter.sum)));
        cx.after(Duration::from_secs(150), |meter, _| meter.report("a while has passed"));
        // A message to anybody, this one included, which is handled in its turn:
        cx.send_after(Duration::from_secs(10), cx.myself(), Reading(1000));
        // A future beside the mailbox, whose output gets a turn on the actor:
        cx.spawn_then(greeting(), |hello, meter, _| meter.report(hello));
        // All that a channel or a stream yields, as messages. It is read only while there is room.
        let (sender, receiver) = mpsc::channel(16);
        cx.spawn(device(sender));
        cx.attach_receiver(receiver);
        cx.attach_then(stream::iter([Reading(10), Reading(20)]), |meter, _| {
            meter.report("end of the stream")
        });
        Ok(Meter { sum: 0, to: Some(to) })
    }
}

impl PlainHandler<Reading> for Meter {
    type Reply = ();
    fn handle(&mut self, Reading(value): Reading, _: &mut Context<Self>) {
        self.sum += value;
    }
}

#[test]
fn timers_messages_and_streams_come_in_their_time() {
    run(async {
        let mut reports = Probe::<Report>::new("reports");
        let spec = ChildSpec::<Meter>::new("meter", reports.recipient());
        let system = TestSystem::start(SupervisorSpec::new("root").child(spec)).await;
        system.settle().await;
        let mut first: Vec<String> = reports.take_all().into_iter().map(|report| report.0).collect();
        first.sort();
        assert_eq!(first, ["end of the stream", "hello"]);
        system.advance(Duration::from_secs(60)).await;
        assert_eq!(reports.expect().await.0, "sum 1036");
        system.advance(Duration::from_secs(90)).await;
        assert_eq!(reports.expect().await.0, "sum 1036");
        assert_eq!(reports.expect().await.0, "a while has passed");
        system.shutdown().await;
    });
}
