//! What a crash costs: one message. `cargo run --example crash_and_restart --no-default-features`.
//!
//! A till that cannot count beyond 255 panics in the middle of its work. Whoever asked hears of it at once; whoever waited
//! is answered by the next generation, at the same address; the till beside it does not notice.

use std::time::Duration;

use callboard::{
    Actor, ActorRef, ActorSystem, AskError, Backoff, ChildSpec, Context, Handler, Message, PlainHandler,
    StartError, SupervisorSpec,
};

/// Adds a price; the reply is the total.
#[derive(Message)]
#[message(reply = u8)]
struct Sell(u8);

/// Gives the generation and its total.
#[derive(Message)]
#[message(reply = (u64, u8))]
struct Total;

struct Till {
    total: u8,
}

impl Actor for Till {
    type Args = ();

    async fn start((): (), cx: &mut Context<Self>) -> Result<Self, StartError> {
        println!("  `{}` starts, generation {}", cx.path(), cx.generation());
        Ok(Till { total: 0 })
    }
}

impl Handler<Sell> for Till {
    async fn handle(&mut self, Sell(price): Sell, _: &mut Context<Self>) -> u8 {
        // Others can queue up behind this one meanwhile.
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.total = self.total.checked_add(price).expect("a till of eight bits");
        self.total
    }
}

impl PlainHandler<Total> for Till {
    type Reply = (u64, u8);
    fn handle(&mut self, _: Total, cx: &mut Context<Self>) -> (u64, u8) {
        (cx.generation(), self.total)
    }
}

/// How often the supervisor had to start something again, of what it may within a minute.
fn budget(system: &ActorSystem) -> String {
    let supervision = system.snapshot().root.supervision;
    supervision.map_or_else(String::new, |root| {
        format!("{} crashes, {} of {} restarts used", root.crashes, root.recent_restarts, root.intensity)
    })
}

/// Until the actor runs again it may be in its pause; an ask waits for it by itself.
async fn total(till: &ActorRef<Till>) -> Result<String, AskError> {
    let (generation, total) = till.ask(Total).await?;
    Ok(format!("generation {generation} has a total of {total}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("two tills below one supervisor:");
    let (one, two) = (ChildSpec::<Till>::new("one", ()), ChildSpec::<Till>::new("two", ()));
    let (one_ref, two_ref) = (one.actor_ref(), two.actor_ref());
    let root = SupervisorSpec::new("root").child(one).child(two);
    let root = root.backoff(Backoff { min: Duration::from_millis(50), ..Backoff::default() });
    let system = ActorSystem::builder("example").start(root).await?;
    println!(
        "sold for 200 at one: {}, for 20 at two: {}",
        one_ref.ask(Sell(200)).await?,
        two_ref.ask(Sell(20)).await?
    );

    println!("\nthree customers at once, the first with a price that does not fit:");
    let (first, second, third) =
        tokio::join!(one_ref.ask(Sell(100)), one_ref.ask(Sell(5)), one_ref.ask(Sell(6)));
    println!("  the first : {}", first.expect_err("it does not fit"));
    println!("  the second: {}, from the next generation", second?);
    println!("  the third : {}", third?);
    println!("at one {}; at two {}", total(&one_ref).await?, total(&two_ref).await?);

    if let Some(crash) = system.snapshot().find("one").and_then(|node| node.last_crash.clone()) {
        println!(
            "\nwhat is remembered of it:\n  `{}`, generation {}: {}",
            crash.path, crash.generation, crash.reason
        );
        println!("  at {}", crash.location.as_deref().unwrap_or("an unknown place"));
    }
    println!("  {}", budget(&system));

    println!("\na kill is a crash, too:");
    two_ref.kill();
    println!("  {}", total(&two_ref).await?);
    println!("  {}", budget(&system));

    println!("\na restart by hand costs nothing, and a stop is for good:");
    one_ref.restart();
    println!("  {}", total(&one_ref).await?);
    two_ref.stop();
    println!(
        "  two: {}, and then: {}",
        two_ref.watch().await,
        two_ref.ask(Total).await.expect_err("it is gone")
    );
    println!("  {}", budget(&system));

    let report = system.shutdown(Duration::from_secs(5)).await;
    println!("\nstopped in order: {}", report.is_clean());
    Ok(())
}
