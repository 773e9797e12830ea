//! What can be seen of a running system.

use std::{error::Error, time::Duration};

use callboard_supervisors::{
    Actor, ActorSystem, ChangeKind, ChildSpec, Context, Message, PlainHandler, StartError, SupervisorSpec,
    TreeSnapshot, testkit::run,
};

#[derive(Message)]
#[message(reply = u32)]
struct Sell(&'static str);

struct Clerk(u32);

impl Actor for Clerk {
    type Args = ();
    async fn start((): (), _: &mut Context<Self>) -> Result<Self, StartError> {
        Ok(Clerk(0))
    }
}

impl PlainHandler<Sell> for Clerk {
    type Reply = u32;
    fn handle(&mut self, Sell(what): Sell, _: &mut Context<Self>) -> u32 {
        assert!(what != "soap", "no {what}");
        self.0 += 1;
        self.0
    }
}

fn lines(tree: &TreeSnapshot) -> Vec<String> {
    let mut lines = Vec::new();
    for node in tree.root.walk() {
        lines.push(format!(
            "{:12} {:10} generation {}, {} handled, {} of {} waiting",
            node.path,
            node.state.as_str(),
            node.generation,
            node.handled,
            node.depth,
            node.capacity
        ));
    }
    lines
}

#[test]
fn a_tree_is_read_and_its_changes_are_followed() -> Result<(), Box<dyn Error>> {
    run(async {
        let spec = ChildSpec::<Clerk>::new("clerk", ());
        let clerk = spec.actor_ref();
        let root = SupervisorSpec::new("root").supervisor(SupervisorSpec::new("front").child(spec));

        let system = ActorSystem::builder("shop")
            .local()
            .watchdog(Some(Duration::from_secs(2))) // the default is 10 s
            .start(root)
            .await?;

        let mut changes = system.changes();
        clerk.ask(Sell("soap")).await.expect_err("it panics");
        clerk.ask(Sell("tea")).await?;

        let mut told = Vec::new();
        while let Some(change) = changes.next().await {
            let change = change?; // an error says how many changes a slow reader has missed
            match change.kind {
                ChangeKind::State { state, .. } => {
                    told.push(format!("{} is {}", change.path, state.as_str()))
                }
                ChangeKind::Crashed(crash) => told.push(format!("{}: {}", change.path, crash.reason)),
                ChangeKind::Stalled { message_type, .. } => told.push(format!("stuck in a {message_type}")),
                _ => {}
            }
            if told.len() == 4 {
                break;
            }
        }
        assert_eq!(
            told,
            [
                "front/clerk: panicked in it::guide::seeing::Sell: no soap",
                "front/clerk is crashed",
                "front/clerk is starting",
                "front/clerk is running",
            ]
        );

        let tree = system.snapshot();
        assert_eq!(
            lines(&tree),
            [
                "             running    generation 0, 0 handled, 0 of 0 waiting",
                "front        running    generation 0, 0 handled, 0 of 0 waiting",
                "front/clerk  running    generation 1, 2 handled, 0 of 1024 waiting",
            ]
        );

        let chart = tree.to_mermaid(); // for a page
        let graph = tree.to_dot(); // for Graphviz
        let json = tree.to_json(); // with the feature `json`

        assert!(chart.starts_with("flowchart"));
        assert!(graph.contains("digraph"));
        assert_eq!(json["system"], "shop");
        assert!(system.shutdown(Duration::from_secs(5)).await.is_clean());
        Ok(())
    })
}
