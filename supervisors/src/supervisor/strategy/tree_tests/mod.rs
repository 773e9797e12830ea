//! Plans below plans, compared with a model of OTP's `supervisor` for whole trees, and driven by ends and orders
//! anywhere in the tree, read in any order.
//!
//! What [`tests`](super::tests) does for one supervisor is done here for supervisors that are children themselves: one
//! that gives up has crashed, one whose significant children have ended has finished, and a restart of it starts all
//! below it. The rules of the model are the same, and one more difference: temporary children that were stopped with
//! their supervisor do not come back with it.

mod drawn;
mod model;
mod world;

use std::time::Duration;

use proptest::{
    prelude::{ProptestConfig, any, prop},
    prop_assert_eq, proptest,
};

use self::{
    drawn::{Node, trees, turns},
    model::Model,
    world::World,
};
use super::Outcome;
use crate::task::Cause;

const PERIOD: Duration = Duration::from_secs(10);
const ROOT: usize = 0;

fn numbers(of: &[usize], nodes: &[Node]) -> Vec<usize> {
    of.iter().map(|number| number % nodes.len()).collect()
}

/// Anything but the root.
fn target(number: usize, nodes: &[Node]) -> usize {
    1 + number % (nodes.len() - 1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4096, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_of_plans_does_what_a_tree_of_otps_supervisors_does(
        nodes in trees(),
        fails_first in prop::collection::vec(0usize..64, 0..2),
        rarely in 0usize..8,
        turns in turns(),
    ) {
        let failing = if rarely == 0 { numbers(&fails_first, &nodes) } else { Vec::new() };
        let mut model = Model::start(&nodes, failing.clone());
        let mut world = World::start(&nodes, failing, true);
        world.settle();
        for (pause, number, deed, failing) in &turns {
            prop_assert_eq!(&world.steps, &model.steps);
            prop_assert_eq!(world.outcome, model.outcome);
            if model.outcome.is_some() {
                prop_assert_eq!(world.running(), Vec::<usize>::new());
                return Ok(());
            }
            world.now += Duration::from_secs(*pause);
            world.failing = numbers(failing, &nodes);
            model.failing.clone_from(&world.failing);
            let node = target(*number, &nodes);
            model.happens(world.now, node, *deed);
            world.happens(node, *deed);
            world.settle();
        }
        prop_assert_eq!(&world.steps, &model.steps);
        prop_assert_eq!(world.outcome, model.outcome);
        let expected: Vec<usize> = (0..nodes.len()).filter(|node| model.runs(*node)).collect();
        prop_assert_eq!(world.running(), expected);
    }

    /// Ends and orders come while others are read, in any order between children: in the end all that is kept runs, or
    /// nothing.
    #[test]
    fn ends_and_orders_in_any_order_leave_a_whole_tree_or_none(
        nodes in trees(),
        turns in turns(),
        choices in prop::collection::vec((any::<usize>(), 0usize..4), 0..120),
    ) {
        let mut world = World::start(&nodes, Vec::new(), false);
        let mut turns = turns.iter();
        for (choice, what) in choices {
            if what > 0 {
                world.read_one(choice);
            } else if let Some((_, number, deed, failing)) = turns.next() {
                world.failing = numbers(failing, &nodes);
                world.happens(target(*number, &nodes), *deed);
            }
        }
        world.settle();
        if world.outcome.is_some() {
            prop_assert_eq!(world.running(), Vec::<usize>::new());
        } else {
            world.check_whole();
            world.end(ROOT, Cause::Stopped);
            world.settle();
            prop_assert_eq!(world.outcome, Some(Outcome::Ordered { for_good: true }));
            prop_assert_eq!(world.running(), Vec::<usize>::new());
        }
    }
}
