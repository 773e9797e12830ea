//! Which steps a running one adds to its workflow.

use std::collections::BTreeMap;

use callboard_contracts::api::{StepState, WorkflowState};

use super::workflow::{Flow, Step};
use crate::edges::store::workflow::{AddRefusal, AddedSteps};

/// What is to be stored of steps that a running one adds.
#[derive(Debug, PartialEq)]
pub(crate) struct Addition {
    /// The new steps: their places among those that were given, and how many steps each waits for.
    pub(crate) steps: Vec<(usize, u32)>,
    /// How many wait for each of them.
    pub(crate) followers: Vec<u32>,
    /// New edges, by the numbers of the steps in the workflow.
    pub(crate) edges: Vec<(u32, u32)>,
    /// Steps that were there, and have changed.
    pub(crate) touched: Vec<Step>,
}

/// The names that are to be looked up before [`add`].
pub(crate) fn names(added: &AddedSteps) -> Vec<&str> {
    let new = added.steps.iter().map(|step| step.name.as_str());
    let named = added.after.iter().chain(&added.before).map(|(_, name)| name.as_str());
    let mut names: Vec<&str> = new.chain(named).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Decides what of it is new, and whether it may be added; `known` are the steps of these names that are there.
///
/// A new step waits only for new ones and for those that have begun, and only steps that have not begun are to wait for it: no
/// way leads from a step that waits to one that has begun, so no circle can come about.
pub(crate) fn add(
    flow: &mut Flow,
    added: &AddedSteps,
    mut known: BTreeMap<String, Step>,
) -> Result<Addition, AddRefusal> {
    if flow.state != WorkflowState::Running {
        return Err(AddRefusal::State(flow.state));
    }
    let first = flow.steps();
    let mut numbers: Vec<Option<u32>> = Vec::with_capacity(added.steps.len());
    let mut steps: Vec<(usize, u32)> = Vec::new();
    for (place, step) in added.steps.iter().enumerate() {
        if known.contains_key(&step.name) {
            numbers.push(None);
        } else {
            numbers.push(Some(first + u32::try_from(steps.len()).unwrap_or(u32::MAX)));
            steps.push((place, 0));
        }
    }
    let total = u64::from(first) + steps.len() as u64;
    if total > u64::from(added.max_steps) {
        return Err(AddRefusal::TooMany { steps: total, limit: added.max_steps });
    }
    let mut followers = vec![0u32; steps.len()];
    let mut edges = Vec::new();
    let number = |place: u32| numbers.get(place as usize).copied().flatten();
    let index = |number: u32| (number - first) as usize;
    let (mut after, mut before) = (added.after.clone(), added.before.clone());
    let name = |place: u32| added.steps.get(place as usize).map(|step| step.name.clone()).unwrap_or_default();
    for (from, to) in &added.edges {
        match (number(*from), number(*to)) {
            (Some(from), Some(to)) => {
                steps[index(to)].1 += 1;
                followers[index(from)] += 1;
                edges.push((from, to));
            }
            // One of them was added before.
            (None, Some(_)) => after.push((*to, name(*from))),
            (Some(_), None) => before.push((*from, name(*to))),
            // The same steps came before, with their edges.
            (None, None) => {}
        }
    }
    for (place, name) in &after {
        let Some(to) = number(*place) else { continue };
        let Some(other) = known.get_mut(name) else { return Err(AddRefusal::NoSuchStep(name.clone())) };
        // One that was called off before its turn waits for it again when the workflow is resumed.
        if other.state == StepState::Waiting || (other.blocks() && other.open > 0) {
            return Err(AddRefusal::NotBegun(name.clone()));
        }
        other.followers += 1;
        steps[index(to)].1 += u32::from(!other.state.has_ended() || other.blocks());
        edges.push((other.number, to));
    }
    for (place, name) in &before {
        let Some(from) = number(*place) else { continue };
        let Some(other) = known.get_mut(name) else { return Err(AddRefusal::NoSuchStep(name.clone())) };
        if other.state != StepState::Waiting {
            return Err(AddRefusal::Begun(name.clone()));
        }
        other.open += 1;
        followers[index(from)] += 1;
        edges.push((from, other.number));
    }
    for (_, open) in &steps {
        let state = if *open == 0 { StepState::Active } else { StepState::Waiting };
        flow.counts[state as usize] += 1;
        flow.changed = true;
    }
    edges.sort_unstable();
    let touched = known.into_values().filter(|_| !steps.is_empty()).collect();
    Ok(Addition { steps, followers, edges, touched })
}

#[cfg(test)]
mod tests {
    use callboard_contracts::api::OnFailure;
    use uuid::Uuid;

    use super::*;
    use crate::edges::store::{record::Lease, transition::tests::new_job, workflow::NewStep};

    fn flow() -> Flow {
        Flow {
            id: Uuid::nil(),
            state: WorkflowState::Running,
            counts: [1, 1, 1, 0, 0],
            blocking: 0,
            on_end: None,
            finished_at: None,
            changed: false,
        }
    }

    fn known(states: &[(&str, StepState)]) -> BTreeMap<String, Step> {
        let step = |(number, (name, state)): (u32, &(&str, StepState))| {
            let step = Step {
                workflow: Uuid::nil(),
                number,
                job: Uuid::from_u128(number.into()),
                state: *state,
                open: u32::from(*state == StepState::Waiting),
                on_failure: OnFailure::Fail,
                followers: 1,
            };
            ((*name).to_owned(), step)
        };
        (0u32..).zip(states).map(step).collect()
    }

    fn added(names: &[&str]) -> AddedSteps {
        let step =
            |name: &&str| NewStep { name: (*name).to_owned(), on_failure: OnFailure::Fail, job: new_job(1) };
        AddedSteps {
            lease: Lease { id: Uuid::nil(), token: 1 },
            steps: names.iter().map(step).collect(),
            edges: Vec::new(),
            after: Vec::new(),
            before: Vec::new(),
            max_steps: 5,
        }
    }

    #[test]
    fn new_steps_stand_between_what_has_begun_and_what_waits() {
        let mut flow = flow();
        let mut new = added(&["x", "y"]);
        new.edges = vec![(0, 1)];
        new.after = vec![(0, "done".to_owned()), (1, "runs".to_owned())];
        new.before = vec![(1, "waits".to_owned())];
        let there = known(&[
            ("done", StepState::Completed),
            ("runs", StepState::Active),
            ("waits", StepState::Waiting),
        ]);
        let decided = add(&mut flow, &new, there).unwrap();
        assert_eq!(decided.steps, [(0, 0), (1, 2)], "what is done is not waited for");
        assert_eq!(decided.followers, [1, 1]);
        assert_eq!(decided.edges, [(0, 3), (1, 4), (3, 4), (4, 2)]);
        assert_eq!(flow.counts, [2, 2, 1, 0, 0]);
        let waits = decided.touched.iter().find(|step| step.number == 2).unwrap();
        assert_eq!(waits.open, 2);
    }

    #[test]
    fn what_could_become_a_circle_is_refused() {
        let there = || known(&[("runs", StepState::Active), ("waits", StepState::Waiting)]);
        let mut new = added(&["x"]);
        new.after = vec![(0, "waits".to_owned())];
        assert_eq!(add(&mut flow(), &new, there()), Err(AddRefusal::NotBegun("waits".to_owned())));
        new.after = vec![(0, "nowhere".to_owned())];
        assert_eq!(add(&mut flow(), &new, there()), Err(AddRefusal::NoSuchStep("nowhere".to_owned())));
        new.after.clear();
        new.before = vec![(0, "runs".to_owned())];
        assert_eq!(add(&mut flow(), &new, there()), Err(AddRefusal::Begun("runs".to_owned())));
        let many = added(&["x", "y", "z"]);
        assert_eq!(add(&mut flow(), &many, there()), Err(AddRefusal::TooMany { steps: 6, limit: 5 }));
        let cancelled = &mut Flow { state: WorkflowState::Cancelling, ..flow() };
        let refused = AddRefusal::State(WorkflowState::Cancelling);
        assert_eq!(add(cancelled, &added(&["x"]), there()), Err(refused));
    }

    #[test]
    fn what_was_added_before_is_passed_over() {
        let mut flow = flow();
        let before = flow.clone();
        let mut new = added(&["runs"]);
        new.before = vec![(0, "gone".to_owned())];
        let decided = add(&mut flow, &new, known(&[("runs", StepState::Active)])).unwrap();
        assert!(decided.steps.is_empty() && decided.edges.is_empty() && decided.touched.is_empty());
        assert_eq!(flow, before);
    }
}
