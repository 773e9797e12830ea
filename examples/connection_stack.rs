//! Parts that rest on each other: `cargo run --example connection_stack --no-default-features`.
//!
//! A consumer works on a channel, the channel on a connection. Below a `rest_for_one` supervisor a crash takes down what
//! comes after it in the list, and nothing before it: all of them start again in order, each on the new one before it.
//! Addresses and queues stay, so what was sent meanwhile is worked off.

use std::time::Duration;

use callboard::{
    Actor, ActorRef, ActorSystem, AskError, Backoff, ChildSpec, Context, Handler, Message, PlainHandler,
    StartError, Strategy, SupervisorSpec,
};

/// Gives the generation.
#[derive(Message)]
#[message(reply = u64)]
struct Generation;

/// Beside the stack: it works with none of the others.
struct Clock;

impl Actor for Clock {
    type Args = ();

    async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
        println!("  + {} {}", cx.name(), cx.generation());
        Ok(Clock)
    }
}

struct Connection;

impl Actor for Connection {
    type Args = ();

    async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
        println!("  + {} {}", cx.name(), cx.generation());
        Ok(Connection)
    }

    async fn stopping(&mut self, cx: &mut Context<Self>) {
        println!("  - {} {}", cx.name(), cx.generation());
    }
}

/// Is made from the connection's address, which outlives its generations.
struct Channel {
    /// The generation of the connection that it was opened on.
    opened_on: u64,
}

impl Actor for Channel {
    type Args = ActorRef<Connection>;

    async fn start(connection: Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        let opened_on = connection.ask(Generation).await?;
        println!("  + {} {} on connection {opened_on}", cx.name(), cx.generation());
        Ok(Channel { opened_on })
    }

    async fn stopping(&mut self, cx: &mut Context<Self>) {
        println!("  - {} {}", cx.name(), cx.generation());
    }
}

/// Gives the generation of the connection beneath.
#[derive(Message)]
#[message(reply = u64)]
struct OpenedOn;

impl PlainHandler<OpenedOn> for Channel {
    type Reply = u64;
    fn handle(&mut self, _: OpenedOn, _: &mut Context<Self>) -> u64 {
        self.opened_on
    }
}

struct Consumer {
    channel: ActorRef<Channel>,
}

impl Actor for Consumer {
    type Args = ActorRef<Channel>;

    async fn start(channel: Self::Args, cx: &mut Context<Self>) -> Result<Self, StartError> {
        println!("  + {} {}", cx.name(), cx.generation());
        Ok(Consumer { channel })
    }

    async fn stopping(&mut self, cx: &mut Context<Self>) {
        println!("  - {} {}", cx.name(), cx.generation());
    }
}

/// Gives the number of the delivery, and on which connection it was handled.
#[derive(Message)]
#[message(reply = Result<String, AskError>)]
struct Deliver(u32);

impl Handler<Deliver> for Consumer {
    async fn handle(&mut self, Deliver(number): Deliver, cx: &mut Context<Self>) -> Result<String, AskError> {
        let connection = self.channel.ask(OpenedOn).await?;
        Ok(format!("delivery {number}: handled by consumer {} on connection {connection}", cx.generation()))
    }
}

macro_rules! tells_its_generation {
    ($($actor:ty),*) => {$(
        impl PlainHandler<Generation> for $actor {
            type Reply = u64;
            fn handle(&mut self, _: Generation, cx: &mut Context<Self>) -> u64 {
                cx.generation()
            }
        }
    )*};
}

tells_its_generation!(Clock, Connection, Channel, Consumer);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = ChildSpec::<Clock>::new("clock", ());
    let connection = ChildSpec::<Connection>::new("connection", ());
    let channel = ChildSpec::<Channel>::new("channel", connection.actor_ref());
    let consumer = ChildSpec::<Consumer>::new("consumer", channel.actor_ref());
    let (clock_ref, connection_ref) = (clock.actor_ref(), connection.actor_ref());
    let (channel_ref, consumer_ref) = (channel.actor_ref(), consumer.actor_ref());
    let stack = SupervisorSpec::new("stack")
        .strategy(Strategy::RestForOne)
        .backoff(Backoff { min: Duration::from_millis(100), ..Backoff::default() })
        .child(clock)
        .child(connection)
        .child(channel)
        .child(consumer);
    println!("the stack starts in order:");
    let system = ActorSystem::builder("example").start(SupervisorSpec::new("root").supervisor(stack)).await?;
    println!("{}", consumer_ref.ask(Deliver(1)).await??);

    println!("\nthe connection is killed, and three deliveries are sent while the stack is down:");
    connection_ref.kill();
    // The consumer is stopped before the pause; its queue takes messages all the same.
    while consumer_ref.state() == callboard::State::Running {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("  consumer: {}", consumer_ref.state().as_str());
    let deliveries = tokio::join!(
        consumer_ref.ask(Deliver(2)),
        consumer_ref.ask(Deliver(3)),
        consumer_ref.ask(Deliver(4)),
        async { println!("  waiting in its queue: {}", consumer_ref.snapshot().depth) },
    );
    for answer in [deliveries.0, deliveries.1, deliveries.2] {
        println!("{}", answer??);
    }

    println!("\na crash of the channel leaves the connection alone:");
    channel_ref.kill();
    while consumer_ref.snapshot().generation < 2 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    println!("{}", consumer_ref.ask(Deliver(5)).await??);

    println!("\ngenerations now:");
    println!("  clock      {}", clock_ref.ask(Generation).await?);
    println!("  connection {}", connection_ref.ask(Generation).await?);
    println!("  channel    {}", channel_ref.ask(Generation).await?);
    println!("  consumer   {}", consumer_ref.ask(Generation).await?);

    println!("\nand the stop, in reverse:");
    let report = system.shutdown(Duration::from_secs(5)).await;
    println!("stopped in order: {}", report.is_clean());
    Ok(())
}
