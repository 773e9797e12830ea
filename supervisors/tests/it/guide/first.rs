//! The first program.

use callboard_supervisors::*;

#[derive(Message)]
#[message(reply = u8)]
struct Add(u8);

struct Counter(u8);

impl Actor for Counter {
    type Args = u8;
    async fn start(first: u8, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Counter(first))
    }
}

impl PlainHandler<Add> for Counter {
    type Reply = u8;
    fn handle(&mut self, Add(amount): Add, _: &mut Context<Self>) -> u8 {
        self.0 = self.0.checked_add(amount).expect("eight bits");
        self.0
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let spec = ChildSpec::<Counter>::new("counter", 200);
    let counter = spec.actor_ref();
    let system = ActorSystem::builder("example").start(SupervisorSpec::new("root").child(spec)).await?;

    assert_eq!(counter.ask(Add(50)).await, Ok(250));
    assert_eq!(counter.ask(Add(50)).await, Err(AskError::Panicked));
    assert_eq!(counter.ask(Add(1)).await, Ok(201)); // the same address, the next generation

    system.shutdown(std::time::Duration::from_secs(5)).await;
    Ok(())
}

#[test]
fn an_actor_crashes_and_is_there_again() {
    main().expect("it runs");
}
