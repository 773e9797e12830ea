//! Two actix actors that know nothing of Callboard, and are supervised: one is made anew after a panic, one restarted in place.
//!
//! `cargo run --example adopt_actix --no-default-features`

use std::time::Duration;

use callboard::{
    ActorSystem, Message, SupervisorSpec,
    adoption::{
        AdoptedSpec,
        actix::{self, AsyncContext},
    },
};

#[derive(Message)]
#[message(reply = u8)]
struct Add(u8);

#[derive(Default)]
struct Counter(u8);

impl actix::Actor for Counter {
    type Context = actix::Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Timers need no actix `System`.
        ctx.run_later(Duration::from_millis(1), |counter, _| println!("a timer sees {}", counter.0));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        println!("a counter stops at {}", self.0);
    }
}

/// For the one that is restarted in place.
impl actix::Supervised for Counter {
    fn restarting(&mut self, _: &mut Self::Context) {
        println!("the steady counter is restarted, and keeps its {}", self.0);
    }
}

impl actix::Handler<Add> for Counter {
    type Result = u8;
    fn handle(&mut self, Add(amount): Add, _: &mut Self::Context) -> u8 {
        self.0 = self.0.checked_add(amount).expect("a counter of eight bits");
        self.0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let plain = AdoptedSpec::new("plain", Counter::default);
    let steady = AdoptedSpec::supervised("steady", Counter::default);
    let (fresh, kept) = (plain.adopted(), steady.adopted());
    let root = SupervisorSpec::new("root").adopted(plain).adopted(steady);
    let system = ActorSystem::builder("example").start(root).await?;
    for (name, counter) in [("plain", fresh), ("steady", kept)] {
        let before = counter.wait_for_addr().await.ok_or("it is gone")?;
        println!("{name}: {}", counter.send(Add(200)).await?);
        println!("{name}: {}", counter.send(Add(100)).await.expect_err("it panics"));
        println!("{name}: {} in the next generation", counter.send(Add(1)).await?);
        let same = counter.addr().as_ref() == Some(&before);
        println!("{name}: the address is {}", if same { "the same" } else { "a new one" });
    }
    for node in system.snapshot().root.children {
        println!(
            "{}: {} is {}, generation {}",
            node.path,
            node.type_name,
            node.state.as_str(),
            node.generation
        );
    }
    let report = system.shutdown(Duration::from_secs(5)).await;
    println!("stopped in order: {}", report.is_clean());
    Ok(())
}
