//! A stream through two stages, each of which holds back the one before it, up to an orderly end when the stream ends:
//! `cargo run --example stream_pipeline --no-default-features`.

use std::time::Duration;

use callboard::{
    Actor, ActorSystem, AutoShutdown, ChildSpec, Context, Handler, MailboxSpec, Message, Overflow,
    PlainHandler, Recipient, Restart, StartError, SupervisorSpec,
};
use futures_util::stream;
use tokio::{sync::mpsc, time::sleep};

/// How many readings the device has.
const READINGS: u32 = 200;
/// How many messages wait before a stage at most.
const ROOM: usize = 4;

#[derive(Message)]
struct Line(String);

#[derive(Message)]
struct Reading(u32);

/// Nothing comes after it.
#[derive(Message)]
struct End;

/// Stands for a device, or a socket: it writes as fast as somebody reads.
async fn device(lines: mpsc::Sender<String>) {
    for number in 0..READINGS {
        // Waits while the channel is full. The reader may be gone, and with it whoever cares.
        if lines.send(format!("reading {number}")).await.is_err() {
            return;
        }
    }
    println!("the device has nothing more to say");
}

/// The first stage: makes readings of lines.
struct Parser {
    readings: Recipient<Reading>,
    end: Recipient<End>,
}

impl Actor for Parser {
    type Args = (Recipient<Reading>, Recipient<End>);

    /// Each generation opens the source anew: a stream ends with the generation that reads it.
    async fn start((readings, end): Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let (sender, mut receiver) = mpsc::channel(ROOM);
        cx.spawn(device(sender));
        let lines = stream::poll_fn(move |task| receiver.poll_recv(task).map(|line| line.map(Line)));
        // Lines may still wait in the mailbox when the stream has ended. So the end is a message, too, and comes after them.
        cx.attach_then(lines, |_, cx| {
            cx.send_after(Duration::ZERO, cx.myself(), End);
        });
        Ok(Parser { readings, end })
    }
}

impl Handler<Line> for Parser {
    /// While it waits for room in the next stage it handles nothing, its mailbox fills, and the stream is not polled.
    async fn handle(&mut self, Line(line): Line, cx: &mut Context<Self>) {
        let Some(reading) = line.strip_prefix("reading ").and_then(|number| number.parse().ok()) else {
            println!("`{line}` is no reading");
            return;
        };
        if let Err(refused) = self.readings.send(Reading(reading)).await {
            println!("the next stage: {refused}");
            cx.stop();
        }
    }
}

impl Handler<End> for Parser {
    async fn handle(&mut self, _: End, cx: &mut Context<Self>) {
        if let Err(refused) = self.end.send(End).await {
            println!("the next stage: {refused}");
        }
        cx.stop();
    }
}

/// The second stage: slow, and the other one goes at its pace.
#[derive(Default)]
struct Sum {
    readings: u32,
    total: u32,
}

impl Actor for Sum {
    type Args = ();
    async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
        cx.interval(Duration::from_millis(50), |sum, _| println!("so far: {} readings", sum.readings));
        Ok(Sum::default())
    }
}

impl Handler<Reading> for Sum {
    async fn handle(&mut self, Reading(reading): Reading, _: &mut Context<Self>) {
        sleep(Duration::from_millis(1)).await;
        self.readings += 1;
        self.total += reading;
    }
}

impl PlainHandler<End> for Sum {
    type Reply = ();
    fn handle(&mut self, _: End, cx: &mut Context<Self>) {
        println!("the sum of {} readings is {}", self.readings, self.total);
        cx.stop();
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Of a stage that takes nothing for so long something is wrong.
    let mailbox = MailboxSpec::bounded(ROOM).overflow(Overflow::Block(Duration::from_secs(10)));
    // A stage that has done its work ends for good; one that crashes is restarted.
    let sum = ChildSpec::<Sum>::new("sum", ()).restart(Restart::Transient).significant(true).mailbox(mailbox);
    let next = sum.actor_ref();
    let parser = ChildSpec::<Parser>::new("parser", (next.recipient(), next.recipient()))
        .restart(Restart::Transient)
        .significant(true)
        .mailbox(mailbox);
    let stages = [parser.actor_ref().handle(), next.handle()];
    // The last stage first: it is there when the first one begins, and the pipeline ends when both have ended.
    let root =
        SupervisorSpec::new("pipeline").auto_shutdown(AutoShutdown::AllSignificant).child(sum).child(parser);
    let system = ActorSystem::builder("example").start(root).await?;

    println!("the pipeline has {}", system.terminated().await);
    for stage in stages {
        let seen = stage.snapshot();
        println!(
            "{}: {} messages, never more than {ROOM} at a time: {}",
            seen.name,
            seen.handled,
            seen.high_water <= ROOM
        );
    }
    let report = system.shutdown(Duration::from_secs(5)).await;
    println!("stopped in order: {}", report.is_clean());
    Ok(())
}
