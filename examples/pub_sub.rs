//! A topic, and subscribers that differ in patience: `cargo run --example pub_sub --no-default-features`.

use std::time::Duration;

use callboard::{
    Actor, ActorSystem, ChildSpec, Context, Handler, MailboxSpec, Message, PlainHandler, SlowSubscriber,
    StartError, SupervisorSpec, Topic,
};

#[derive(Clone, Message)]
struct Price(u32);

#[derive(Message)]
#[message(reply = Vec<u32>)]
struct Seen;

/// Reads prices, each for a while.
struct Reader {
    pace: Duration,
    seen: Vec<u32>,
}

impl Actor for Reader {
    type Args = Duration;
    async fn start(pace: Duration, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Reader { pace, seen: Vec::new() })
    }
}

impl Handler<Price> for Reader {
    async fn handle(&mut self, Price(price): Price, _: &mut Context<Self>) {
        tokio::time::sleep(self.pace).await;
        self.seen.push(price);
    }
}

impl PlainHandler<Seen> for Reader {
    type Reply = Vec<u32>;
    fn handle(&mut self, _: Seen, _: &mut Context<Self>) -> Vec<u32> {
        self.seen.clone()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let reader = |name: &'static str, pace| {
        ChildSpec::<Reader>::new(name, Duration::from_millis(pace))
            .mailbox(MailboxSpec::bounded(2))
            .registered(name)
    };
    let root = SupervisorSpec::new("root")
        .child(reader("quick", 0))
        .child(reader("slow", 20))
        .child(reader("impatient", 50))
        .child(reader("waited for", 5));
    let system = ActorSystem::builder("example").start(root).await?;

    let prices = Topic::new("prices");
    let mut subscriptions = Vec::new();
    for (name, policy) in [
        ("quick", SlowSubscriber::Wait(Duration::from_secs(1))),
        ("slow", SlowSubscriber::Skip),
        ("impatient", SlowSubscriber::UnsubscribeAfter(3)),
        ("waited for", SlowSubscriber::Wait(Duration::from_secs(1))),
    ] {
        let reader = system.registry().wait_for::<Reader>(name).await?;
        subscriptions.push((name, reader.clone(), prices.subscribe(reader, policy)?));
    }
    for price in 1..=12 {
        let done = prices.publish_and_wait(Price(price)).await;
        println!(
            "price {price:2}: {} took it, {} had no room, {} left",
            done.delivered, done.skipped, done.removed
        );
    }
    for (name, reader, subscription) in &subscriptions {
        let seen = reader.ask(Seen).await?;
        let still = if subscription.is_active() { "subscribed" } else { "unsubscribed" };
        println!("{name}: saw {seen:?}, missed {}, {still}", subscription.skipped());
    }
    drop(subscriptions);
    println!("after that, {} subscribers", prices.len());
    system.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
