//! Times beyond all clocks: whoever says `Duration::MAX` means that it is not to happen.

use std::time::Duration;

use callboard_supervisors::{
    ActorSystem, ChildSpec, Context, Message, PlainHandler, ShutdownPlan, SupervisorSpec,
};

use crate::worker::{Count, Worker, local};

/// Sets every timer there is to the end of time.
#[derive(Message)]
struct WaitForEver;

impl PlainHandler<WaitForEver> for Worker {
    type Reply = ();
    fn handle(&mut self, _: WaitForEver, cx: &mut Context<Self>) {
        cx.after(Duration::MAX, |_, _| panic!("the end of time"));
        cx.interval(Duration::MAX, |_, _| panic!("the end of time"));
        cx.send_after(Duration::MAX, cx.myself(), Count);
        cx.send_every(Duration::MAX, cx.myself(), || Count);
    }
}

#[test]
fn timers_without_an_end_do_not_fire_and_a_shutdown_without_a_deadline_waits() {
    local(async {
        let spec = ChildSpec::<Worker>::new("worker", ());
        let worker = spec.actor_ref();
        let root = SupervisorSpec::new("root").child(spec);
        let system = ActorSystem::builder("test").local().start(root).await.expect("a system");
        assert_eq!(worker.ask_within(Duration::MAX, WaitForEver).await, Ok(()));
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(worker.ask(Count).await, Ok((0, 1)));
        let plan = ShutdownPlan::new(Duration::MAX).phase("all", Duration::MAX, ["worker"]);
        assert!(system.shutdown(plan).await.is_clean());
    });
}
