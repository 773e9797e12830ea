//! What the ends of steps do to a workflow: decisions on workflows and steps held in memory.
//!
//! A step counts off those that wait for it once: when it is completed, or when it failed or was cancelled and they are to run
//! all the same. A step that failed and keeps others from running *blocks*: it is left as it is until its job runs again, and
//! then counts them off when that is completed. So nothing has to be done to what is blocked.

use std::collections::BTreeMap;

use callboard_contracts::{
    JobState, Timestamp,
    api::{OnFailure, StepState, WorkflowState},
};
use uuid::Uuid;

use super::{Changes, JobRow, control::release};
#[cfg(feature = "postgres")]
use crate::edges::store::workflow::WorkflowOperation;
use crate::edges::store::{Outcome, record::NewJob, workflow::WorkflowOutcome};

/// What the job of a step waits for.
pub(crate) const WAITS: &str = "other steps of its workflow";
/// What the job waits for that runs at the end of a workflow.
pub(crate) const WAITS_FOR_END: &str = "the end of its workflow";

/// What can change of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flow {
    pub(crate) id: Uuid,
    pub(crate) state: WorkflowState,
    /// Steps in each state, in the order of [`StepState::ALL`].
    pub(crate) counts: [u32; 5],
    /// Steps that have ended otherwise than completed, and keep others from running.
    pub(crate) blocking: u32,
    pub(crate) on_end: Option<Uuid>,
    pub(crate) finished_at: Option<Timestamp>,
    pub(crate) changed: bool,
}

/// What can change of a step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) workflow: Uuid,
    pub(crate) number: u32,
    pub(crate) job: Uuid,
    pub(crate) state: StepState,
    /// Steps that have not counted it off yet.
    pub(crate) open: u32,
    pub(crate) on_failure: OnFailure,
    /// Steps that wait for it.
    pub(crate) followers: u32,
}

impl Step {
    /// Whether what waits for it does not run because of how it has ended.
    pub(crate) fn blocks(&self) -> bool {
        matches!(self.state, StepState::Failed | StepState::Cancelled) && self.on_failure == OnFailure::Fail
    }
}

impl Flow {
    /// Moves a step to another state and counts that.
    fn enter(&mut self, step: &mut Step, state: StepState) {
        self.blocking = self.blocking.saturating_sub(u32::from(step.blocks()));
        let before = &mut self.counts[step.state as usize];
        *before = before.saturating_sub(1);
        step.state = state;
        self.counts[state as usize] += 1;
        self.blocking += u32::from(step.blocks());
        self.changed = true;
    }

    /// The job of a step has ended so. Whether those that wait for the step are to be counted off.
    pub(crate) fn ended(&mut self, step: &mut Step, job: JobState) -> bool {
        let state = match job {
            JobState::Completed => StepState::Completed,
            JobState::Discarded => StepState::Failed,
            JobState::Cancelled => StepState::Cancelled,
            _ => return false,
        };
        if step.state.has_ended() {
            return false;
        }
        self.enter(step, state);
        !step.blocks()
    }

    /// So many of the steps that a step waits for have counted it off. Whether its job may run now.
    pub(crate) fn count_off(&mut self, step: &mut Step, by: u32) -> bool {
        step.open = step.open.saturating_sub(by);
        let free = step.open == 0 && step.state == StepState::Waiting && self.can_resume();
        if free {
            self.enter(step, StepState::Active);
            // It had failed, and somebody has called off what this one still waited for: it goes on with it.
            (self.state, self.finished_at) = (WorkflowState::Running, None);
        }
        free
    }

    /// A step that blocks runs again, as this job. The state that the job is to have.
    pub(crate) fn run_again(&mut self, step: &mut Step, job: Uuid) -> JobState {
        let (state, job_state) = match step.open {
            0 => (StepState::Active, JobState::Available),
            _ => (StepState::Waiting, JobState::Pending),
        };
        self.enter(step, state);
        step.job = job;
        (self.state, self.finished_at) = (WorkflowState::Running, None);
        job_state
    }

    /// Whether its steps can run again that block.
    pub(crate) fn can_resume(&self) -> bool {
        matches!(self.state, WorkflowState::Running | WorkflowState::Failed)
    }

    /// It is called off; what waits and what runs is told by the caller. `false`: it is too late.
    pub(crate) fn cancel(&mut self) -> bool {
        if matches!(self.state, WorkflowState::Completed | WorkflowState::Cancelled) {
            return false;
        }
        (self.state, self.finished_at) = (WorkflowState::Cancelling, None);
        self.changed = true;
        true
    }

    /// Whether it has ended just now: nothing of it can go on.
    pub(crate) fn settle(&mut self, now: Timestamp) -> bool {
        if self.counts[StepState::Active as usize] > 0 || self.state.has_ended() {
            return false;
        }
        self.state = match self.state {
            WorkflowState::Cancelling => WorkflowState::Cancelled,
            _ if self.blocking > 0 => WorkflowState::Failed,
            // Whatever waits, waits for a step that blocks, or for one that can run.
            _ => WorkflowState::Completed,
        };
        self.finished_at = Some(now);
        self.changed = true;
        true
    }

    /// Steps of any state.
    pub(crate) fn steps(&self) -> u32 {
        self.counts.iter().sum()
    }
}

/// The workflows and steps that one write advances.
#[derive(Debug, Default)]
pub(crate) struct Advance {
    pub(crate) flows: BTreeMap<Uuid, Flow>,
    /// Those that have ended, and those that wait for them.
    pub(crate) steps: BTreeMap<(Uuid, u32), Step>,
    /// Jobs that may run now.
    pub(crate) free: Vec<Uuid>,
}

impl Advance {
    /// The jobs of these steps have ended so. The steps whose followers are to be counted off: all ends come before that, since
    /// one that waits can have been cancelled by itself. Their workflows are to be loaded.
    pub(crate) fn end(&mut self, ended: Vec<(Step, JobState)>) -> Vec<(Uuid, u32)> {
        let mut satisfied = Vec::new();
        for (mut step, job) in ended {
            let Some(flow) = self.flows.get_mut(&step.workflow) else { continue };
            let place = (step.workflow, step.number);
            if flow.ended(&mut step, job) {
                satisfied.push(place);
            }
            self.steps.insert(place, step);
        }
        satisfied
    }

    /// So many of the steps that this one waits for have counted it off.
    pub(crate) fn count_off(&mut self, follower: Step, by: u32) {
        let Some(flow) = self.flows.get_mut(&follower.workflow) else { return };
        let step = self.steps.entry((follower.workflow, follower.number)).or_insert(follower);
        if flow.count_off(step, by) {
            self.free.push(step.job);
        }
    }
}

/// How many steps each of these waits for, and how many wait for it.
pub(crate) fn degrees(steps: usize, edges: &[(u32, u32)]) -> (Vec<u32>, Vec<u32>) {
    let (mut open, mut followers) = (vec![0u32; steps], vec![0u32; steps]);
    for (from, to) in edges {
        followers[*from as usize] += 1;
        open[*to as usize] += 1;
    }
    (open, followers)
}

/// The job of a step that waits for so many others.
pub(crate) fn job_of(job: &NewJob, open: u32) -> NewJob {
    NewJob { held: (open > 0).then(|| WAITS.to_owned()), ..job.clone() }
}

/// The job of the workflow's end.
pub(crate) fn job_of_end(job: &NewJob) -> NewJob {
    NewJob { held: Some(WAITS_FOR_END.to_owned()), ..job.clone() }
}

/// What a job waited for is done.
pub(crate) fn set_free(changes: &mut Changes, row: &mut JobRow) {
    if row.state == JobState::Pending {
        release(changes, row);
    }
}

/// Whether the job of a workflow's end, that is in this state, is to be stored again for another end. One that runs was told of the
/// end before; one that somebody has cancelled is not wanted.
pub(crate) fn tells_again(state: JobState) -> bool {
    matches!(state, JobState::Executing | JobState::Completed | JobState::Discarded)
}

/// Of steps that have ended, how many from the first on may be advanced in one write, by what waits for them.
pub(crate) fn within(followers: impl Iterator<Item = u32>, limit: u32) -> usize {
    let mut sum = 0u64;
    let fit = followers.take_while(|count| {
        let first = sum == 0;
        sum += u64::from(*count) + 1;
        first || sum <= u64::from(limit)
    });
    fit.count()
}

/// What the answer to jobs is that could not all be stored.
pub(crate) fn refusal(queue: &str, outcome: Outcome) -> WorkflowOutcome {
    let queue = queue.to_owned();
    match outcome {
        Outcome::BacklogFull { waiting, limit } => WorkflowOutcome::BacklogFull { queue, waiting, limit },
        Outcome::StoreFull { waiting, limit } => WorkflowOutcome::StoreFull { queue, waiting, limit },
        _ => WorkflowOutcome::Conflict,
    }
}

/// The leadership under which an operation is done, if it needs one.
#[cfg(feature = "postgres")]
pub(crate) fn leader(operation: &WorkflowOperation) -> Option<u64> {
    match operation {
        WorkflowOperation::Advance { leader, .. } | WorkflowOperation::Prune { leader, .. } => Some(*leader),
        _ => None,
    }
}

/// In words, for the audit trail.
pub(crate) fn words(outcome: &WorkflowOutcome) -> String {
    match outcome {
        WorkflowOutcome::Cancelled { state, told } => format!("{state}; {} jobs told to end", told.len()),
        WorkflowOutcome::Resumed { steps, .. } => format!("{steps} steps run again"),
        WorkflowOutcome::NotPossible { state } => format!("refused: the workflow is {state}"),
        WorkflowOutcome::NotFound => "refused: there is none".to_owned(),
        _ => "done".to_owned(),
    }
}

/// Numbers as they stand in the database. They never change.
pub(crate) fn workflow_state_of(code: i64) -> WorkflowState {
    let known = usize::try_from(code).ok().and_then(|code| WorkflowState::ALL.get(code));
    known.copied().unwrap_or(WorkflowState::Failed)
}

pub(crate) fn step_state_of(code: i64) -> StepState {
    let known = usize::try_from(code).ok().and_then(|code| StepState::ALL.get(code));
    known.copied().unwrap_or(StepState::Failed)
}

pub(crate) fn on_failure_of(code: i64) -> OnFailure {
    if code == 1 { OnFailure::Continue } else { OnFailure::Fail }
}

pub(crate) fn on_failure_code(on_failure: OnFailure) -> i16 {
    match on_failure {
        OnFailure::Fail => 0,
        OnFailure::Continue => 1,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_micros(7)
    }

    /// A workflow and its steps, as a store would hold them.
    struct World {
        flow: Flow,
        steps: Vec<Step>,
        edges: Vec<(u32, u32)>,
    }

    impl World {
        fn new(policies: &[OnFailure], edges: Vec<(u32, u32)>) -> World {
            let (open, followers) = degrees(policies.len(), &edges);
            let steps: Vec<Step> = (0u32..)
                .zip(policies)
                .zip(open.iter().zip(&followers))
                .map(|((number, on_failure), (open, followers))| Step {
                    workflow: Uuid::nil(),
                    number,
                    job: Uuid::from_u128(number.into()),
                    state: if *open == 0 { StepState::Active } else { StepState::Waiting },
                    open: *open,
                    on_failure: *on_failure,
                    followers: *followers,
                })
                .collect();
            let mut counts = [0; 5];
            steps.iter().for_each(|step| counts[step.state as usize] += 1);
            let flow = Flow {
                id: Uuid::nil(),
                state: WorkflowState::Running,
                counts,
                blocking: 0,
                on_end: None,
                finished_at: None,
                changed: false,
            };
            World { flow, steps, edges }
        }

        fn end(&mut self, step: usize, job: JobState) {
            if self.flow.ended(&mut self.steps[step], job) {
                for (from, to) in &self.edges {
                    if *from as usize == step {
                        self.flow.count_off(&mut self.steps[*to as usize], 1);
                    }
                }
            }
            self.flow.settle(now());
        }

        fn active(&self) -> Vec<usize> {
            let active = |step: &&Step| step.state == StepState::Active;
            self.steps.iter().filter(active).map(|step| step.number as usize).collect()
        }

        /// The model: what must be, from nothing but how the steps have ended.
        fn check(&self) {
            let satisfied = |step: &Step| {
                step.state == StepState::Completed
                    || (step.state.has_ended() && step.on_failure == OnFailure::Continue)
            };
            for step in &self.steps {
                let before = self.edges.iter().filter(|edge| edge.1 == step.number);
                let open = before.filter(|edge| !satisfied(&self.steps[edge.0 as usize])).count();
                assert_eq!(step.open as usize, open);
                assert_eq!(open > 0, step.state == StepState::Waiting, "{step:?}");
            }
            let mut counts = [0; 5];
            self.steps.iter().for_each(|step| counts[step.state as usize] += 1);
            assert_eq!(self.flow.counts, counts);
            let blocking = self.steps.iter().filter(|step| step.blocks()).count();
            assert_eq!(self.flow.blocking as usize, blocking);
            let expected = match (counts[StepState::Active as usize], blocking) {
                (1.., _) => WorkflowState::Running,
                (0, 0) => WorkflowState::Completed,
                _ => WorkflowState::Failed,
            };
            assert_eq!(self.flow.state, expected);
            if expected == WorkflowState::Completed {
                assert_eq!(counts[StepState::Waiting as usize], 0, "nothing is forgotten");
            }
        }
    }

    #[test]
    fn what_waits_only_for_a_step_that_was_called_off_goes_on_in_a_failed_workflow() {
        let policies = [OnFailure::Fail, OnFailure::Continue, OnFailure::Fail];
        let mut world = World::new(&policies, vec![(0, 1), (1, 2)]);
        world.end(0, JobState::Discarded);
        assert_eq!(world.flow.state, WorkflowState::Failed);
        // Somebody calls off the job of the step that waits.
        world.end(1, JobState::Cancelled);
        assert_eq!((world.flow.state, world.active()), (WorkflowState::Running, vec![2]));
        world.end(2, JobState::Completed);
        assert_eq!(world.flow.state, WorkflowState::Failed);
        world.flow.run_again(&mut world.steps[0], Uuid::from_u128(9));
        world.end(0, JobState::Completed);
        assert_eq!((world.flow.state, world.flow.counts), (WorkflowState::Completed, [0, 0, 2, 0, 1]));
    }

    proptest! {
        /// Whatever order steps end in and however, told twice or not, and run again until all is done.
        #[test]
        fn a_workflow_comes_to_its_end(
            policies in proptest::collection::vec(any::<bool>(), 1..10),
            pairs in proptest::collection::vec((0u32..10, 0u32..10), 0..25),
            choices in proptest::collection::vec((any::<prop::sample::Index>(), 0u8..4), 1..60),
        ) {
            let count = u32::try_from(policies.len()).unwrap();
            // From a lower number to a higher one: no circle.
            let edges: BTreeSet<(u32, u32)> = pairs.into_iter()
                .map(|(a, b)| (a % count, b % count)).filter(|(a, b)| a < b).collect();
            let policies: Vec<OnFailure> = policies.into_iter()
                .map(|go_on| if go_on { OnFailure::Continue } else { OnFailure::Fail }).collect();
            let mut world = World::new(&policies, edges.into_iter().collect());
            world.check();
            for (choice, how) in choices {
                let active = world.active();
                if active.is_empty() {
                    break;
                }
                let step = *choice.get(&active);
                let job = match how {
                    0 => JobState::Discarded,
                    1 => JobState::Cancelled,
                    _ => JobState::Completed,
                };
                world.end(step, job);
                let before = world.flow.clone();
                world.end(step, JobState::Completed);
                prop_assert_eq!(&before, &world.flow, "told again");
                world.check();
            }
            for _ in 0..1000 {
                let Some(step) = world.active().first().copied() else {
                    let Some(step) = (0..world.steps.len()).find(|step| world.steps[*step].blocks()) else { break };
                    prop_assert!(world.flow.can_resume());
                    world.flow.run_again(&mut world.steps[step], Uuid::from_u128(1000));
                    world.check();
                    continue;
                };
                world.end(step, JobState::Completed);
                world.check();
            }
            prop_assert_eq!(world.flow.state, WorkflowState::Completed);
        }
    }

    #[test]
    fn a_write_takes_one_step_whatever_waits_for_it() {
        assert_eq!(within([10_000, 1].into_iter(), 100), 1);
        assert_eq!(within([49, 49, 0].into_iter(), 100), 2);
        assert_eq!(within([0; 5].into_iter(), 100), 5);
        assert_eq!(within(std::iter::empty(), 100), 0);
    }

    #[test]
    fn what_is_cancelled_goes_on_no_more() {
        let mut world = World::new(&[OnFailure::Continue, OnFailure::Fail], vec![(0, 1)]);
        assert!(world.flow.cancel());
        world.end(0, JobState::Completed);
        assert_eq!(world.steps[1].state, StepState::Waiting);
        assert_eq!(world.flow.state, WorkflowState::Cancelled);
        assert!(!world.flow.cancel() && !world.flow.can_resume());
    }
}
