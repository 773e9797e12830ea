//! The rules for workflows: which steps may wait for which.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

/// Steps of one workflow at most.
pub const MAX_STEPS: usize = 10_000;
/// Of all steps of one workflow together, so many steps that they wait for.
pub const MAX_EDGES: usize = 100_000;
/// Bytes of a step's or a workflow's name at most.
pub const MAX_NAME: usize = 200;
/// Problems that are listed at most.
const MAX_PROBLEMS: usize = 32;
/// Names of a cycle that are quoted at most.
const SHOWN: usize = 12;

/// A name that breaks the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidName(String);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no valid name: 1 to 200 bytes of text without control characters are", self.0)
    }
}

impl std::error::Error for InvalidName {}

/// Checks the name of a step or of a workflow.
///
/// # Errors
/// [`InvalidName`], whose text quotes at most 64 characters of it.
pub fn check_name(name: &str) -> Result<(), InvalidName> {
    if (1..=MAX_NAME).contains(&name.len()) && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(InvalidName(shown(name)))
    }
}

fn shown(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A step as the rules see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedStep {
    /// Its name.
    pub name: String,
    /// The steps that it waits for.
    pub after: Vec<String>,
    /// The steps that are to wait for it, too.
    pub before: Vec<String>,
}

/// Something that is wrong with a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanProblem {
    /// The step's place, from 0; none: it concerns all of them.
    pub step: Option<usize>,
    /// Where in the step, as a JSON pointer.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

impl PlanProblem {
    fn of(step: usize, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        PlanProblem { step: Some(step), pointer: pointer.into(), message: message.into() }
    }

    fn of_all(message: impl Into<String>) -> Self {
        PlanProblem { step: None, pointer: String::new(), message: message.into() }
    }
}

/// Which of these steps waits for which: pairs of places, the earlier step first, sorted, none twice.
///
/// # Errors
/// Every problem up to a number: names that cannot be, are there twice or are not known, a cycle, too many steps.
pub fn plan(steps: &[PlannedStep]) -> Result<Vec<(u32, u32)>, Vec<PlanProblem>> {
    resolve(steps, |_| false).map(|resolved| resolved.edges)
}

/// Steps that are added to a workflow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Which of the new steps waits for which of them: the earlier one first.
    pub edges: Vec<(u32, u32)>,
    /// The steps of the workflow that are named, and by what.
    pub others: BTreeMap<String, Named>,
}

/// By which new steps a step of the workflow is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// These wait for it.
    pub followed_by: Vec<u32>,
    /// It is to wait for these.
    pub waits_for: Vec<u32>,
}

/// Resolves the names of steps that are added to a workflow. What is no name of theirs is taken for that of a step which is
/// there already; whether it is, and in which state, is for the store to say.
///
/// # Errors
/// As [`plan`], but for names that are not known.
pub fn plan_addition(steps: &[PlannedStep]) -> Result<Resolved, Vec<PlanProblem>> {
    resolve(steps, |_| true)
}

fn resolve(
    steps: &[PlannedStep],
    may_be_another: impl Fn(&str) -> bool,
) -> Result<Resolved, Vec<PlanProblem>> {
    if steps.is_empty() {
        return Err(vec![PlanProblem::of_all("a workflow has at least one step")]);
    }
    if steps.len() > MAX_STEPS {
        let message = format!("{} steps; {MAX_STEPS} are allowed", steps.len());
        return Err(vec![PlanProblem::of_all(message)]);
    }
    let named = |step: &PlannedStep| step.after.len() + step.before.len();
    let count: usize = steps.iter().map(named).sum();
    if count > MAX_EDGES {
        let message = format!("{count} names in `after` and `before` together; {MAX_EDGES} are allowed");
        return Err(vec![PlanProblem::of_all(message)]);
    }
    let mut problems = Vec::new();
    let mut places: HashMap<&str, u32> = HashMap::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        if let Err(problem) = check_name(&step.name) {
            problems.push(PlanProblem::of(index, "/name", problem.to_string()));
        }
        // There are no more than MAX_STEPS.
        let place = u32::try_from(index).unwrap_or(u32::MAX);
        if let Some(first) = places.insert(&step.name, place) {
            let message = format!("{:?} is the name of step {first} already", shown(&step.name));
            problems.push(PlanProblem::of(index, "/name", message));
        }
    }
    let mut resolved = Resolved::default();
    for (index, (step, place)) in steps.iter().zip(0u32..).enumerate() {
        for (list, names) in [("after", &step.after), ("before", &step.before)] {
            for (number, name) in names.iter().enumerate() {
                match places.get(name.as_str()) {
                    Some(other) if list == "after" => resolved.edges.push((*other, place)),
                    Some(other) => resolved.edges.push((place, *other)),
                    None if may_be_another(name) => {
                        let other = resolved.others.entry(name.clone()).or_default();
                        if list == "after" {
                            other.followed_by.push(place);
                        } else {
                            other.waits_for.push(place);
                        }
                    }
                    None => {
                        let message = format!("there is no step {:?} in this workflow", shown(name));
                        problems.push(PlanProblem::of(index, format!("/{list}/{number}"), message));
                    }
                }
                if problems.len() >= MAX_PROBLEMS {
                    return Err(problems);
                }
            }
        }
    }
    resolved.edges.sort_unstable();
    resolved.edges.dedup();
    for other in resolved.others.values_mut() {
        other.followed_by.dedup();
        other.waits_for.dedup();
    }
    if !problems.is_empty() {
        problems.truncate(MAX_PROBLEMS);
        return Err(problems);
    }
    if let Some(cycle) = cycle(steps.len(), &resolved.edges) {
        let names: Vec<String> =
            cycle.iter().take(SHOWN).map(|place| format!("{:?}", shown(&steps[*place].name))).collect();
        let rest = if cycle.len() > SHOWN { " -> ..." } else { "" };
        let message = format!(
            "these steps wait for each other in a circle, so none of them could begin: {}{rest}",
            names.join(" -> ")
        );
        return Err(vec![PlanProblem::of(cycle[0], "/after", message)]);
    }
    Ok(resolved)
}

/// A way that comes back to where it began, in the order in which the steps would run; the first step is there at both ends.
fn cycle(steps: usize, edges: &[(u32, u32)]) -> Option<Vec<usize>> {
    let mut open = vec![0u32; steps];
    for (_, to) in edges {
        open[*to as usize] += 1;
    }
    let followers = |from: usize| {
        let begin = edges.partition_point(|edge| (edge.0 as usize) < from);
        edges[begin..].iter().take_while(move |edge| edge.0 as usize == from).map(|edge| edge.1 as usize)
    };
    let mut ready: Vec<usize> = (0..steps).filter(|step| open[*step] == 0).collect();
    let mut done = 0;
    while let Some(step) = ready.pop() {
        done += 1;
        for next in followers(step) {
            open[next] -= 1;
            if open[next] == 0 {
                ready.push(next);
            }
        }
    }
    if done == steps {
        return None;
    }
    // Each step that is left waits for one that is left: going back from any of them comes round.
    let mut before = vec![usize::MAX; steps];
    for (from, to) in edges.iter().map(|(from, to)| (*from as usize, *to as usize)) {
        if open[from] > 0 && open[to] > 0 {
            before[to] = from;
        }
    }
    let mut seen = vec![false; steps];
    let mut step = (0..steps).find(|step| open[*step] > 0)?;
    while !seen[step] {
        seen[step] = true;
        step = before[step];
    }
    let mut way = vec![step];
    let mut back = before[step];
    while back != step {
        way.push(back);
        back = before[back];
    }
    way.push(step);
    way.reverse();
    Some(way)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn step(name: &str, after: &[&str]) -> PlannedStep {
        let after = after.iter().map(|name| (*name).to_owned()).collect();
        PlannedStep { name: name.to_owned(), after, before: Vec::new() }
    }

    #[test]
    fn a_diamond_has_four_edges() {
        let steps = [step("d", &["b", "c", "b"]), step("b", &["a"]), step("c", &["a"]), step("a", &[])];
        assert_eq!(plan(&steps).unwrap(), [(1, 0), (2, 0), (3, 1), (3, 2)]);
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let wrong = |steps: &[PlannedStep]| {
            let problems = plan(steps).unwrap_err();
            problems.into_iter().map(|problem| (problem.step, problem.pointer)).collect::<Vec<_>>()
        };
        assert_eq!(wrong(&[]), [(None, String::new())]);
        assert_eq!(wrong(&[step("", &[])]), [(Some(0), "/name".to_owned())]);
        assert_eq!(wrong(&[step("a", &[]), step("a", &[])]), [(Some(1), "/name".to_owned())]);
        assert_eq!(wrong(&[step("a", &["b", "c"])]).len(), 2);
        assert_eq!(wrong(&[step("a", &["a"])]), [(Some(0), "/after".to_owned())]);
        let many: Vec<PlannedStep> = (0..=MAX_STEPS).map(|step| self::step(&step.to_string(), &[])).collect();
        assert_eq!(wrong(&many), [(None, String::new())]);
        assert!(plan(&many[1..]).is_ok());
    }

    #[test]
    fn a_cycle_is_named() {
        let steps =
            [step("x", &[]), step("a", &["c", "x"]), step("b", &["a"]), step("c", &["b"]), step("d", &["c"])];
        let message = plan(&steps).unwrap_err().remove(0).message;
        let around = [
            "\"a\" -> \"b\" -> \"c\" -> \"a\"",
            "\"b\" -> \"c\" -> \"a\" -> \"b\"",
            "\"c\" -> \"a\" -> \"b\" -> \"c\"",
        ];
        assert!(around.iter().any(|way| message.contains(way)), "{message}");
        assert!(!message.contains("\"d\"") && !message.contains("\"x\""), "{message}");
    }

    #[test]
    fn an_addition_names_steps_that_are_there() {
        let mut new = step("count", &["split", "other"]);
        new.before = vec!["collect".to_owned()];
        let resolved = plan_addition(&[new, step("other", &[])]).unwrap();
        assert_eq!(resolved.edges, [(1, 0)]);
        assert_eq!(resolved.others["split"].followed_by, [0]);
        assert_eq!(resolved.others["collect"].waits_for, [0]);
    }

    proptest! {
        /// A graph is refused if and only if its transitive closure has a step that waits for itself.
        #[test]
        fn only_graphs_without_a_cycle_are_taken(
            count in 1usize..12,
            pairs in proptest::collection::vec((0usize..12, 0usize..12), 0..30),
        ) {
            let pairs: Vec<(usize, usize)> = pairs.into_iter().map(|(a, b)| (a % count, b % count)).collect();
            let steps: Vec<PlannedStep> = (0..count)
                .map(|to| PlannedStep {
                    name: to.to_string(),
                    after: pairs.iter().filter(|pair| pair.1 == to).map(|pair| pair.0.to_string()).collect(),
                    before: Vec::new(),
                })
                .collect();
            let mut reaches = vec![vec![false; count]; count];
            pairs.iter().for_each(|(from, to)| reaches[*from][*to] = true);
            for via in 0..count {
                for from in 0..count {
                    for to in 0..count {
                        reaches[from][to] |= reaches[from][via] && reaches[via][to];
                    }
                }
            }
            let circular = (0..count).any(|step| reaches[step][step]);
            match plan(&steps) {
                Ok(edges) => {
                    prop_assert!(!circular);
                    let mut expected: Vec<(u32, u32)> = pairs.iter()
                        .map(|(a, b)| (u32::try_from(*a).unwrap(), u32::try_from(*b).unwrap())).collect();
                    expected.sort_unstable();
                    expected.dedup();
                    prop_assert_eq!(edges, expected);
                }
                Err(problems) => {
                    prop_assert!(circular);
                    prop_assert_eq!(problems.len(), 1);
                    // The first step of the cycle that is named is in one.
                    let first = problems[0].step.unwrap();
                    prop_assert!(reaches[first][first]);
                }
            }
        }
    }
}
