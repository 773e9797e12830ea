//! An actor that panics and keeps its address: `cargo run --example counter --no-default-features`.

use callboard::{Actor, ActorSystem, ChildSpec, Context, Message, PlainHandler, StartError, SupervisorSpec};

#[derive(Message)]
#[message(reply = u8)]
struct Add(u8);

struct Counter(u8);

impl Actor for Counter {
    type Args = u8;
    async fn start(first: u8, cx: &mut Context<Self>) -> Result<Self, StartError> {
        println!("generation {} starts at {first}", cx.generation());
        Ok(Counter(first))
    }
}

impl PlainHandler<Add> for Counter {
    type Reply = u8;
    fn handle(&mut self, Add(amount): Add, _: &mut Context<Self>) -> u8 {
        self.0 = self.0.checked_add(amount).expect("a counter of eight bits");
        self.0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = ChildSpec::<Counter>::new("counter", 200);
    let counter = spec.actor_ref();
    let system = ActorSystem::builder("example").start(SupervisorSpec::new("root").child(spec)).await?;
    println!("200 + 50 = {}", counter.ask(Add(50)).await?);
    println!("250 + 50 : {}", counter.ask(Add(50)).await.expect_err("it panics"));
    println!("200 + 1 = {}, asked at the same address", counter.ask(Add(1)).await?);
    system.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}
