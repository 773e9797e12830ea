//! A shutdown in phases.

use std::{error::Error, time::Duration};

use callboard_supervisors::{
    Actor, ActorSystem, ChildSpec, Context, Handler, Message, ShutdownPlan, StartError, SupervisorSpec,
    testkit::{Signal, run},
};
use tokio::time::sleep;

#[derive(Message)]
struct Work(Duration);

struct Part(Signal);

impl Actor for Part {
    type Args = Signal;
    async fn start(begun: Signal, _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Part(begun))
    }

    /// Runs at an orderly stop; not after a panic or a kill.
    async fn stopping(&mut self, cx: &mut Context<Self>) {
        tracing::info!("{} says goodbye", cx.path());
    }
}

impl Handler<Work> for Part {
    async fn handle(&mut self, Work(time): Work, _: &mut Context<Self>) {
        self.0.fire(());
        sleep(time).await;
    }
}

#[test]
fn entrances_stop_first_and_who_was_late_is_named() -> Result<(), Box<dyn Error>> {
    run(async {
        let begun = Signal::new();
        let part = |name: &'static str| ChildSpec::<Part>::new(name, begun.clone());
        let (store, job, web) = (part("store"), part("job"), part("web"));
        let busy = job.actor_ref();
        let queues = SupervisorSpec::new("queues").child(job);
        let root = SupervisorSpec::new("root").child(store).supervisor(queues).child(web);
        let system = ActorSystem::builder("shop").local().start(root).await?;
        busy.tell(Work(Duration::from_secs(4)))?;
        begun.wait().await;

        // Nothing new comes in; the work in hand is finished; then the rest goes, in reverse order.
        let plan = ShutdownPlan::new(Duration::from_secs(30))
            .phase("entrances", Duration::from_secs(2), ["web"])
            .phase("work", Duration::from_secs(3), ["queues"]);
        let report = system.shutdown(plan).await;

        for phase in &report.phases {
            println!("{}: {:?}, late: {:?}", phase.name, phase.elapsed, phase.unstopped);
        }
        println!("killed: {:?}, stuck: {:?}", report.unstopped, report.stuck);

        let phases: Vec<_> = report
            .phases
            .iter()
            .map(|phase| format!("{}: {:?}, late: {:?}", phase.name, phase.elapsed, phase.unstopped))
            .collect();
        assert_eq!(phases, [r#"entrances: 0ns, late: []"#, r#"work: 3s, late: ["queues/job"]"#]);
        let rest = format!("killed: {:?}, stuck: {:?}", report.unstopped, report.stuck);
        assert_eq!(rest, "killed: [], stuck: []");
        assert!(!report.is_clean());
        Ok(())
    })
}
