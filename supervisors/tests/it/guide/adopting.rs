//! An actix actor as it is, supervised.

use std::{error::Error, time::Duration};

use callboard_supervisors::{
    ActorSystem, Message, SupervisorSpec,
    adoption::{AdoptedSpec, actix},
    testkit::run,
};

#[derive(Message)]
#[message(reply = u8)]
struct Add(u8);

struct Counter(u8);

impl actix::Actor for Counter {
    type Context = actix::Context<Self>;
}

impl actix::Handler<Add> for Counter {
    type Result = u8;
    fn handle(&mut self, Add(amount): Add, _: &mut Self::Context) -> u8 {
        self.0 = self.0.checked_add(amount).expect("eight bits");
        self.0
    }
}

#[test]
fn an_actix_actor_is_a_child_as_any_other() -> Result<(), Box<dyn Error>> {
    run(async {
        let spec = AdoptedSpec::new("counter", || Counter(200));
        let counter = spec.adopted();
        let root = SupervisorSpec::new("root").adopted(spec);

        let system = ActorSystem::builder("shop").local().start(root).await?;
        assert!(counter.send(Add(100)).await.is_err());
        assert_eq!(counter.send(Add(1)).await?, 201); // a new actor, at an address of its own
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        Ok(())
    })
}
