//! Workflows: steps that wait for each other.

use std::{collections::BTreeMap, time::Duration};

use callboard_actors::edges::store::{
    Operation, Outcome,
    record::{AttemptEnd, JobFilter, Lease, NewAudit, NewJob},
    workflow::{
        AddRefusal, AddedSteps, EndedSteps, NewStep, NewWorkflow, StepQuery, StepRecord, WorkflowFilter,
        WorkflowOperation, WorkflowOutcome, WorkflowRecord,
    },
};
use callboard_contracts::{
    EventType, JobState,
    api::{OnFailure, StepState, WorkflowState},
};
use uuid::Uuid;

use crate::store::{
    backend::Backend,
    client::Client,
    stage::Stage,
    words::{DAY, SECOND, cancelled, completed, enqueue, failed, job, lease, prune, release, retry},
};

/// Steps that may be advanced by what waits for them in one write.
const LIMIT: u32 = 5000;

/// Steps with these names and edges; a name that ends in `?` lets those that wait for it run whatever becomes of it.
fn workflow(steps: &[&str], edges: &[(u32, u32)]) -> NewWorkflow {
    let step = |name: &&str| NewStep {
        name: (*name).trim_end_matches('?').to_owned(),
        on_failure: if name.ends_with('?') { OnFailure::Continue } else { OnFailure::Fail },
        job: job(),
    };
    NewWorkflow {
        id: Uuid::now_v7(),
        name: Some("test".to_owned()),
        fingerprint: [3; 32],
        steps: steps.iter().map(step).collect(),
        edges: edges.to_vec(),
        on_end: None,
    }
}

fn diamond() -> NewWorkflow {
    workflow(&["a", "b", "c", "d"], &[(0, 1), (0, 2), (1, 3), (2, 3)])
}

fn submission(new: &NewWorkflow) -> Operation {
    Operation::Workflow(WorkflowOperation::Submit(Box::new(new.clone())))
}

async fn asked(client: &Client, operation: WorkflowOperation) -> WorkflowOutcome {
    match client.one(Operation::Workflow(operation)).await {
        Outcome::Workflow(outcome) => outcome,
        other => panic!("{other:?}"),
    }
}

async fn submit(client: &Client, new: &NewWorkflow) {
    let outcome = asked(client, WorkflowOperation::Submit(Box::new(new.clone()))).await;
    assert!(matches!(outcome, WorkflowOutcome::Stored { .. }), "{outcome:?}");
}

/// Tells of these jobs until nothing is left; gives how many steps were advanced and how many workflows ended.
async fn advance(client: &Client, jobs: &[Uuid], limit: u32) -> (u32, u32) {
    let (mut left, mut done) = (jobs.to_vec(), (0, 0));
    loop {
        let operation = WorkflowOperation::Advance { jobs: left, limit, leader: client.leader };
        match asked(client, operation).await {
            WorkflowOutcome::Advanced { left: more, steps, ended, .. } => {
                done = (done.0 + steps, done.1 + ended);
                left = more;
            }
            other => panic!("{other:?}"),
        }
        if left.is_empty() {
            return done;
        }
    }
}

/// All that has ended and was not advanced is; as a new leader does it.
async fn sweep(client: &Client) -> u32 {
    let (mut after, mut done) = (Uuid::nil(), 0);
    loop {
        let EndedSteps { jobs, next } = client.store.ended_steps(after, 100).await.unwrap();
        done += advance(client, &jobs, LIMIT).await.0;
        match next {
            Some(next) => after = next,
            None => return done,
        }
    }
}

async fn seen(client: &Client, id: Uuid) -> WorkflowRecord {
    client.store.workflow(id).await.unwrap().unwrap()
}

async fn steps_of(client: &Client, id: Uuid) -> BTreeMap<String, StepRecord> {
    let query = StepQuery { limit: 10_000, ..StepQuery::default() };
    let steps = client.store.workflow_steps(id, query).await.unwrap();
    steps.into_iter().map(|step| (step.name.clone(), step)).collect()
}

/// The state of each step, in the order of the names, by its first letter.
async fn states(client: &Client, id: Uuid) -> String {
    let steps = steps_of(client, id).await;
    steps.values().filter_map(|step| step.state.as_str().chars().next()).collect()
}

/// Claims what there is, ends each as its step says, and tells of it; gives the names in the order in which they were claimed.
async fn run(
    stage: &Client,
    session: Uuid,
    new: &NewWorkflow,
    end: impl Fn(&str) -> AttemptEnd,
) -> Vec<String> {
    let mut names = Vec::new();
    loop {
        let of = steps_of(stage, new.id).await;
        let claimed = stage.claim("default", 100, session).await;
        if claimed.is_empty() {
            return names;
        }
        for one in &claimed {
            let name = of.values().find(|step| step.job == one.id).map(|step| step.name.clone());
            let name = name.unwrap_or_else(|| "the end".to_owned());
            stage.finish(lease(one), end(&name)).await;
            names.push(name);
        }
        let jobs: Vec<Uuid> = claimed.iter().map(|job| job.id).collect();
        advance(stage, &jobs, LIMIT).await;
    }
}

pub async fn a_step_runs_when_those_before_it_are_done<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = diamond();
    submit(stage, &new).await;
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Running, [3, 1, 0, 0, 0]));
    assert_eq!((record.name.as_deref(), record.finished_at), (Some("test"), None));
    let waits = stage.record(new.steps[3].job.id).await;
    assert_eq!(waits.state, JobState::Pending);
    assert!(waits.wait_reason.unwrap().contains("workflow"));
    // It waits for no handler.
    assert!(matches!(stage.one(release(&["noop"], 10)).await, Outcome::Moved { count: 0, .. }));

    let first = stage.claim("default", 10, session).await;
    assert_eq!(first.iter().map(|job| job.id).collect::<Vec<_>>(), [new.steps[0].job.id]);
    assert_eq!(advance(stage, &[first[0].id], LIMIT).await, (0, 0), "it has not ended");
    stage.finish(lease(&first[0]), completed()).await;
    assert!(stage.claim("default", 10, session).await.is_empty(), "nobody has told of it");
    assert_eq!(advance(stage, &[first[0].id], LIMIT).await, (1, 0));
    assert_eq!(states(stage, new.id).await, "caaw");
    stage.pass(SECOND);
    let names = run(stage, session, &new, |_| completed()).await;
    assert_eq!(names, ["b", "c", "d"]);
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Completed, [0, 0, 4, 0, 0]));
    assert_eq!(record.finished_at, Some(stage.now()));
    assert!(!stage.store.has_open_workflows().await.unwrap());
    use EventType::{Completed, Created, MadeAvailable, Validated};
    assert_eq!(stage.way(new.steps[3].job.id).await, [Created, MadeAvailable, Validated, Completed]);
}

pub async fn ends_that_are_told_again_change_nothing<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = diamond();
    submit(stage, &new).await;
    let jobs: Vec<Uuid> = new.steps.iter().map(|step| step.job.id).collect();
    for _ in 0..3 {
        for one in stage.claim("default", 10, session).await {
            stage.finish(lease(&one), completed()).await;
        }
        advance(stage, &jobs, LIMIT).await;
        let before = (seen(stage, new.id).await, steps_of(stage, new.id).await, stage.log().await.len());
        for _ in 0..2 {
            assert_eq!(advance(stage, &jobs, LIMIT).await, (0, 0));
            assert_eq!(advance(stage, &[jobs[0], jobs[0], Uuid::now_v7()], LIMIT).await, (0, 0));
        }
        assert_eq!(sweep(stage).await, 0);
        let after = (seen(stage, new.id).await, steps_of(stage, new.id).await, stage.log().await.len());
        assert_eq!(after, before);
        stage.kill().await;
    }
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Completed);
    // One that is told twice in a batch, too.
    let new = diamond();
    submit(stage, &new).await;
    let one = stage.claim("default", 10, session).await.remove(0);
    let tell = || {
        let advance = WorkflowOperation::Advance { jobs: vec![one.id], limit: LIMIT, leader: stage.leader };
        Operation::Workflow(advance)
    };
    let end = Operation::Finish { lease: lease(&one), started_at: None, end: completed() };
    let answers = stage.apply(vec![end, tell(), tell()]).await;
    let steps = |answer: &Outcome| match answer {
        Outcome::Workflow(WorkflowOutcome::Advanced { steps, .. }) => *steps,
        other => panic!("{other:?}"),
    };
    assert_eq!((steps(&answers[1]), steps(&answers[2])), (1, 0));
    assert_eq!(states(stage, new.id).await, "caaw");
}

pub async fn what_nobody_told_of_is_found<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let many: Vec<String> = (0..150).map(|number| format!("step {number:03}")).collect();
    let names: Vec<&str> = many.iter().map(String::as_str).chain(["last"]).collect();
    let edges: Vec<(u32, u32)> = (0..150).map(|number| (number, 150)).collect();
    let new = workflow(&names, &edges);
    submit(stage, &new).await;
    assert!(stage.store.has_open_workflows().await.unwrap());
    for one in stage.claim("default", 200, session).await {
        stage.finish(lease(&one), completed()).await;
    }
    assert_eq!(seen(stage, new.id).await.counts, [1, 150, 0, 0, 0]);
    stage.kill().await;
    assert_eq!(sweep(stage).await, 150);
    assert_eq!(sweep(stage).await, 0);
    assert_eq!(seen(stage, new.id).await.counts, [0, 1, 150, 0, 0]);
    assert_eq!(stage.claim("default", 200, session).await.len(), 1);
}

pub async fn a_failed_step_blocks_what_waits_for_it_and_nothing_else<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    // a -> b -> c, and beside them x -> y.
    let new = workflow(&["a", "b", "c", "x", "y"], &[(0, 1), (1, 2), (3, 4)]);
    submit(stage, &new).await;
    let names = run(stage, session, &new, |name| if name == "a" { failed(None) } else { completed() }).await;
    assert_eq!(names, ["a", "x", "y"]);
    assert_eq!(states(stage, new.id).await, "fwwcc");
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Failed, [2, 0, 2, 1, 0]));
    assert_eq!(stage.state(new.steps[1].job.id).await, JobState::Pending);

    // One whose end does not matter.
    let new = workflow(&["a?", "b", "c"], &[(0, 1), (1, 2)]);
    submit(stage, &new).await;
    let names = run(stage, session, &new, |name| if name == "a" { failed(None) } else { completed() }).await;
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(states(stage, new.id).await, "fcc");
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Completed);
    let inputs = stage.store.step_inputs(new.steps[1].job.id, None, 10).await.unwrap().unwrap();
    assert_eq!(
        (inputs.inputs[0].state, inputs.inputs[0].error.as_deref()),
        (StepState::Failed, Some("no luck"))
    );
}

pub async fn a_step_that_is_cancelled_by_itself_counts_as_failed<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = diamond();
    submit(stage, &new).await;
    // One that waits: b.
    let b = new.steps[1].job.id;
    assert_eq!(stage.one(Operation::Cancel { id: b }).await, Outcome::Cancelled);
    // a's end and b's are told together: b does not run.
    let one = stage.claim("default", 10, session).await.remove(0);
    stage.finish(lease(&one), completed()).await;
    assert_eq!(advance(stage, &[b, one.id], LIMIT).await, (2, 0));
    assert_eq!(states(stage, new.id).await, "ccaw");
    assert_eq!(seen(stage, new.id).await.counts, [1, 1, 1, 0, 1]);
    run(stage, session, &new, |_| completed()).await;
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Failed);
    // Resumed, it runs, since what it waited for is done.
    let resumed = asked(stage, WorkflowOperation::Resume { id: new.id, limit: 10 }).await;
    assert!(matches!(resumed, WorkflowOutcome::Resumed { steps: 1, more: false, .. }), "{resumed:?}");
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["b", "d"]);
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Completed);
}

pub async fn a_step_that_was_cancelled_before_its_turn_waits_again_when_resumed<B: Backend>(
    stage: &mut Stage<B>,
) {
    let session = stage.session().await;
    let new = workflow(&["a", "b", "c"], &[(0, 1), (1, 2)]);
    submit(stage, &new).await;
    let b = new.steps[1].job.id;
    stage.one(Operation::Cancel { id: b }).await;
    advance(stage, &[b], LIMIT).await;
    assert_eq!(states(stage, new.id).await, "acw");
    let resumed = asked(stage, WorkflowOperation::Resume { id: new.id, limit: 10 }).await;
    assert!(
        matches!(&resumed, WorkflowOutcome::Resumed { steps: 1, queues, .. } if queues.is_empty()),
        "{resumed:?}"
    );
    assert_eq!(states(stage, new.id).await, "aww");
    let job = steps_of(stage, new.id).await["b"].job;
    let record = stage.record(job).await;
    assert_eq!((record.state, record.replay_of), (JobState::Pending, Some(b)));
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["a", "b", "c"]);
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Completed);
}

pub async fn a_step_that_is_cancelled_in_a_failed_workflow_does_not_hold_up_its_repair<B: Backend>(
    stage: &mut Stage<B>,
) {
    let session = stage.session().await;
    let mut new = workflow(&["a", "b", "c"], &[(0, 1), (1, 2)]);
    new.on_end = Some(job());
    submit(stage, &new).await;
    // Nobody wants to be told.
    stage.one(Operation::Cancel { id: new.on_end.clone().unwrap().id }).await;
    assert_eq!(run(stage, session, &new, |_| failed(None)).await, ["a"]);
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Failed);
    // Of workflows that are not open the log is not read: nobody tells of this.
    stage.one(Operation::Cancel { id: new.steps[1].job.id }).await;
    let resume = WorkflowOperation::Resume { id: new.id, limit: 10 };
    asked(stage, resume.clone()).await;
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["a"]);
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Failed, [1, 0, 1, 0, 1]));
    asked(stage, resume).await;
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["b", "c"]);
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.on_end), (WorkflowState::Completed, Some(new.on_end.unwrap().id)));
}

pub async fn a_failed_workflow_goes_on_after_its_repair<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let mut new = workflow(&["a", "b", "c", "d"], &[(0, 3), (1, 3), (2, 3)]);
    new.on_end = Some(NewJob { payload: "{\"end\":true}".to_owned(), ..job() });
    submit(stage, &new).await;
    let end = new.on_end.clone().unwrap().id;
    assert_eq!(stage.state(end).await, JobState::Pending);
    let bad = |name: &str| if matches!(name, "a" | "b" | "c") { failed(None) } else { completed() };
    assert_eq!(run(stage, session, &new, bad).await, ["a", "b", "c", "the end"]);
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Failed, [1, 0, 0, 3, 0]));
    assert_eq!(stage.state(end).await, JobState::Completed);

    // By its id, in bounded steps.
    let unknown = WorkflowOperation::Resume { id: Uuid::now_v7(), limit: 2 };
    assert_eq!(asked(stage, unknown).await, WorkflowOutcome::NotFound);
    let resume = WorkflowOperation::Resume { id: new.id, limit: 2 };
    let first = asked(stage, resume.clone()).await;
    assert!(matches!(first, WorkflowOutcome::Resumed { steps: 2, more: true, .. }), "{first:?}");
    let second = asked(stage, resume.clone()).await;
    assert!(matches!(second, WorkflowOutcome::Resumed { steps: 1, more: false, .. }), "{second:?}");
    let third = asked(stage, resume.clone()).await;
    assert!(matches!(third, WorkflowOutcome::Resumed { steps: 0, more: false, .. }), "{third:?}");
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.finished_at), (WorkflowState::Running, None));
    let again = steps_of(stage, new.id).await["a"].job;
    assert_eq!(stage.record(again).await.replay_of, Some(new.steps[0].job.id));
    // What is told of the dead jobs once more is about no step.
    assert_eq!(advance(stage, &[new.steps[0].job.id], LIMIT).await, (0, 0));
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["a", "b", "c", "d", "the end"]);
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Completed, [0, 0, 4, 0, 0]));
    assert_ne!(record.on_end, Some(end), "it was told again, by another job");
    assert_eq!(stage.record(record.on_end.unwrap()).await.replay_of, Some(end));
    let state = WorkflowState::Completed;
    assert_eq!(asked(stage, resume).await, WorkflowOutcome::NotPossible { state });
}

pub async fn a_dead_job_that_is_run_again_by_itself_is_its_step_again<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = workflow(&["a", "b"], &[(0, 1)]);
    submit(stage, &new).await;
    run(stage, session, &new, |_| failed(None)).await;
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Failed);
    let replayed = stage.one(retry(new.steps[0].job.id)).await;
    let Outcome::Replayed { id, .. } = replayed else { panic!("{replayed:?}") };
    assert_eq!(steps_of(stage, new.id).await["a"].job, id);
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["a", "b"]);
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Completed);
    // One that was completed runs for itself.
    let replayed = stage.one(retry(id)).await;
    assert!(matches!(replayed, Outcome::Replayed { .. }), "{replayed:?}");
    assert_eq!(steps_of(stage, new.id).await["a"].job, id);
}

pub async fn a_batch_tells_of_its_end_whichever_way<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    for (ends, state) in [
        ([completed(), completed()], WorkflowState::Completed),
        ([completed(), failed(None)], WorkflowState::Failed),
        ([cancelled(), completed()], WorkflowState::Failed),
    ] {
        let mut new = workflow(&["a", "b"], &[]);
        new.on_end = Some(job());
        submit(stage, &new).await;
        let end = |name: &str| match name {
            "a" => ends[0].clone(),
            "b" => ends[1].clone(),
            _ => completed(),
        };
        assert_eq!(run(stage, session, &new, end).await, ["a", "b", "the end"]);
        assert_eq!(seen(stage, new.id).await.state, state);
        let inputs = stage.store.step_inputs(new.on_end.unwrap().id, None, 10).await.unwrap().unwrap();
        assert_eq!((inputs.step, inputs.workflow.id, inputs.workflow.state), (None, new.id, state));
    }
}

pub async fn cancelling_a_workflow_ends_all_of_it<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let mut new = workflow(&["a", "b", "c", "d"], &[(0, 2), (1, 3)]);
    new.on_end = Some(job());
    submit(stage, &new).await;
    let running = stage.claim("default", 1, session).await.remove(0);
    let cancel = WorkflowOperation::Cancel { id: new.id };
    assert_eq!(
        asked(stage, WorkflowOperation::Cancel { id: Uuid::now_v7() }).await,
        WorkflowOutcome::NotFound
    );
    let told = vec![(lease(&running), "default".to_owned(), session)];
    let expected = WorkflowOutcome::Cancelled { state: WorkflowState::Cancelling, told };
    // Who has asked for it is kept with it, and it can be asked for again.
    let entry = NewAudit {
        id: Uuid::now_v7(),
        by: "test".to_owned(),
        role: None,
        action: "workflow.cancel".to_owned(),
        target: new.id.to_string(),
        detail: None,
    };
    let operation = Box::new(Operation::Workflow(cancel.clone()));
    let outcome = stage.one(Operation::Audited { entry, operation }).await;
    assert_eq!(outcome, Outcome::Workflow(expected.clone()));
    let trail = stage.store.audit(None, 1).await.unwrap();
    assert_eq!(trail[0].outcome, "cancelling; 1 jobs told to end");
    assert_eq!(asked(stage, cancel.clone()).await, expected);
    assert_eq!(states(stage, new.id).await, "accc");
    assert_eq!(seen(stage, new.id).await.counts, [0, 1, 0, 0, 3]);
    assert!(stage.claim("default", 10, session).await.is_empty());
    // It ends as it wants; nothing follows.
    stage.finish(lease(&running), completed()).await;
    assert_eq!(advance(stage, &[running.id], LIMIT).await, (1, 1));
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Cancelled, [0, 0, 1, 0, 3]));
    let last = stage.claim("default", 10, session).await;
    assert_eq!(last.iter().map(|job| job.id).collect::<Vec<_>>(), [new.on_end.unwrap().id]);
    let state = WorkflowState::Cancelled;
    assert_eq!(asked(stage, cancel).await, WorkflowOutcome::NotPossible { state });
    let resume = WorkflowOperation::Resume { id: new.id, limit: 10 };
    assert_eq!(asked(stage, resume).await, WorkflowOutcome::NotPossible { state });

    // One of which nothing runs is cancelled at once; so is one that has failed.
    let new = diamond();
    submit(stage, &new).await;
    let outcome = asked(stage, WorkflowOperation::Cancel { id: new.id }).await;
    assert_eq!(outcome, WorkflowOutcome::Cancelled { state, told: Vec::new() });
    let new = diamond();
    submit(stage, &new).await;
    run(stage, session, &new, |_| failed(None)).await;
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Failed);
    let outcome = asked(stage, WorkflowOperation::Cancel { id: new.id }).await;
    assert_eq!(outcome, WorkflowOutcome::Cancelled { state, told: Vec::new() });
    assert_eq!(states(stage, new.id).await, "fccc");
    for step in steps_of(stage, new.id).await.values() {
        assert!(step.job_state.is_final(), "{step:?}");
    }
}

/// Steps of these names, added under a lease.
fn added(lease: Lease, names: &[&str], before: &[&str]) -> AddedSteps {
    let NewWorkflow { steps, .. } = workflow(names, &[]);
    let places = 0..u32::try_from(names.len()).unwrap();
    let before = places.flat_map(|place| before.iter().map(move |name| (place, (*name).to_owned())));
    AddedSteps { lease, steps, edges: Vec::new(), after: Vec::new(), before: before.collect(), max_steps: 6 }
}

fn addition(added: &AddedSteps) -> WorkflowOperation {
    WorkflowOperation::AddSteps(Box::new(added.clone()))
}

pub async fn a_running_step_fans_out_and_what_waits_gathers_it<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = workflow(&["split", "collect"], &[(0, 1)]);
    submit(stage, &new).await;
    let split = stage.claim("default", 10, session).await.remove(0);
    let mut parts = added(lease(&split), &["part 1", "part 2"], &["collect"]);
    parts.edges = vec![(0, 1)];
    let stored = asked(stage, addition(&parts)).await;
    assert!(matches!(stored, WorkflowOutcome::Added { steps: 2, .. }), "{stored:?}");
    // Sent again, by whoever did not hear the answer, with other ids.
    let mut again = added(lease(&split), &["part 1", "part 2"], &["collect"]);
    again.edges = vec![(0, 1)];
    let outcome = WorkflowOutcome::Added { steps: 0, queues: Vec::new() };
    assert_eq!(asked(stage, addition(&again)).await, outcome);
    // One more, which waits for one of these and for the running one.
    let mut more = added(lease(&split), &["part 3"], &["collect"]);
    more.after = vec![(0, "split".to_owned()), (0, "part 1".to_owned())];
    let stored = asked(stage, addition(&more)).await;
    assert!(matches!(stored, WorkflowOutcome::Added { steps: 1, .. }), "{stored:?}");
    assert_eq!(seen(stage, new.id).await.counts, [3, 2, 0, 0, 0]);
    let edges = stage.store.workflow_edges(new.id, 10, 100).await.unwrap();
    assert_eq!(edges, [(0, 1), (0, 4), (2, 1), (2, 3), (2, 4), (3, 1), (4, 1)]);

    let refused = |outcome| match outcome {
        WorkflowOutcome::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    };
    let mut bad = added(lease(&split), &["x"], &[]);
    bad.after = vec![(0, "collect".to_owned())];
    assert_eq!(refused(asked(stage, addition(&bad)).await), AddRefusal::NotBegun("collect".to_owned()));
    bad.after = vec![(0, "nobody".to_owned())];
    assert_eq!(refused(asked(stage, addition(&bad)).await), AddRefusal::NoSuchStep("nobody".to_owned()));
    let bad = added(lease(&split), &["x"], &["part 1"]);
    assert_eq!(refused(asked(stage, addition(&bad)).await), AddRefusal::Begun("part 1".to_owned()));
    let bad = added(lease(&split), &["x", "y"], &[]);
    assert_eq!(refused(asked(stage, addition(&bad)).await), AddRefusal::TooMany { steps: 7, limit: 6 });
    let stale = added(Lease { token: split.token + 1, ..lease(&split) }, &["x"], &[]);
    assert_eq!(asked(stage, addition(&stale)).await, WorkflowOutcome::Stale);

    stage.finish(lease(&split), completed()).await;
    assert_eq!(asked(stage, addition(&parts)).await, WorkflowOutcome::Stale, "it has ended");
    advance(stage, &[split.id], LIMIT).await;
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["part 1", "part 2", "part 3", "collect"]);
    assert_eq!(seen(stage, new.id).await.state, WorkflowState::Completed);
    let inputs = stage.store.step_inputs(new.steps[1].job.id, None, 10).await.unwrap().unwrap();
    let names: Vec<&str> = inputs.inputs.iter().map(|input| input.name.as_str()).collect();
    assert_eq!(names, ["split", "part 1", "part 2", "part 3"]);

    // A job of no workflow has nothing to add to.
    stage.one(enqueue(&job())).await;
    let alone = stage.claim("default", 10, session).await.remove(0);
    assert_eq!(asked(stage, addition(&added(lease(&alone), &["x"], &[]))).await, WorkflowOutcome::NotFound);
}

pub async fn a_workflow_that_is_cancelled_takes_no_more_steps<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = workflow(&["split"], &[]);
    submit(stage, &new).await;
    let split = stage.claim("default", 10, session).await.remove(0);
    asked(stage, WorkflowOperation::Cancel { id: new.id }).await;
    let outcome = asked(stage, addition(&added(lease(&split), &["x"], &[]))).await;
    let state = WorkflowState::Cancelling;
    assert_eq!(outcome, WorkflowOutcome::Refused(AddRefusal::State(state)));
}

pub async fn a_step_sees_what_those_before_it_gave<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = diamond();
    submit(stage, &new).await;
    let a = stage.claim("default", 10, session).await.remove(0);
    stage.finish(lease(&a), completed()).await;
    advance(stage, &[a.id], LIMIT).await;
    run(stage, session, &new, |name| AttemptEnd::Completed { result: Some(format!("\"{name}\"")) }).await;
    let d = new.steps[3].job.id;
    let all = stage.store.step_inputs(d, None, 10).await.unwrap().unwrap();
    assert_eq!((all.step.as_deref(), all.workflow.id), (Some("d"), new.id));
    let results: Vec<_> = all.inputs.iter().map(|input| (input.number, input.result.as_deref())).collect();
    assert_eq!(results, [(1, Some("\"b\"")), (2, Some("\"c\""))]);
    let first = stage.store.step_inputs(d, None, 1).await.unwrap().unwrap();
    assert_eq!(first.inputs, all.inputs[..1]);
    let rest = stage.store.step_inputs(d, Some(1), 10).await.unwrap().unwrap();
    assert_eq!(rest.inputs, all.inputs[1..]);
    assert!(stage.store.step_inputs(new.steps[0].job.id, None, 10).await.unwrap().unwrap().inputs.is_empty());
    assert_eq!(stage.store.step_inputs(Uuid::now_v7(), None, 10).await.unwrap(), None);
}

pub async fn a_workflow_is_stored_once_and_whole<B: Backend>(stage: &mut Stage<B>) {
    let new = diamond();
    submit(stage, &new).await;
    let steps = new.steps.len();
    let again = NewWorkflow { steps: diamond().steps, ..new.clone() };
    let duplicate = Outcome::Workflow(WorkflowOutcome::Duplicate { steps: 4 });
    assert_eq!(stage.apply(vec![submission(&new), submission(&again)]).await, [duplicate.clone(), duplicate]);
    let other = NewWorkflow { fingerprint: [4; 32], ..new.clone() };
    assert_eq!(stage.one(submission(&other)).await, Outcome::Workflow(WorkflowOutcome::Conflict));
    assert_eq!(stage.list(JobFilter::default()).await.len(), steps);
    // Twice in a batch, and with a job that is there.
    let new = diamond();
    let answers = stage.apply(vec![submission(&new), submission(&new)]).await;
    assert!(matches!(answers[1], Outcome::Workflow(WorkflowOutcome::Duplicate { .. })), "{answers:?}");
    let mut taken = diamond();
    taken.steps[2].job.id = new.steps[0].job.id;
    assert_eq!(stage.one(submission(&taken)).await, Outcome::Workflow(WorkflowOutcome::Conflict));
    assert_eq!(stage.list(JobFilter::default()).await.len(), 2 * steps);

    // What waits counts like what may run, and all of it must find room.
    let mut full = diamond();
    for step in &mut full.steps {
        step.job.max_backlog = 2 * 4 + 3;
    }
    let answer = stage.one(submission(&full)).await;
    let refused = WorkflowOutcome::BacklogFull { queue: "default".to_owned(), waiting: 11, limit: 11 };
    assert_eq!(answer, Outcome::Workflow(refused));
    full.steps.iter_mut().for_each(|step| (step.job.max_backlog, step.job.max_total) = (1000, 10));
    let answer = stage.one(submission(&full)).await;
    assert!(matches!(answer, Outcome::Workflow(WorkflowOutcome::StoreFull { limit: 10, .. })), "{answer:?}");
    assert_eq!(stage.store.workflow(full.id).await.unwrap(), None);
    assert_eq!(stage.list(JobFilter::default()).await.len(), 2 * steps);
}

pub async fn workflows_are_listed_and_paged<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let mut all = Vec::new();
    for number in 0..7 {
        let mut new = workflow(&["a", "b"], &[(0, 1)]);
        new.name = (number % 2 == 0).then(|| "even".to_owned());
        submit(stage, &new).await;
        if number < 3 {
            run(stage, session, &new, |_| completed()).await;
        }
        all.insert(0, new.id);
    }
    let list = async |filter: WorkflowFilter| {
        let mut found: Vec<WorkflowRecord> = Vec::new();
        loop {
            let before = found.last().map(|one| one.sequence);
            let page = stage.store.workflows(WorkflowFilter { before, ..filter.clone() }, 2).await.unwrap();
            if page.is_empty() {
                return found.into_iter().map(|one| one.id).collect::<Vec<_>>();
            }
            found.extend(page);
        }
    };
    assert_eq!(list(WorkflowFilter::default()).await, all);
    let done = || Some(WorkflowState::Completed);
    assert_eq!(list(WorkflowFilter { state: done(), ..Default::default() }).await, all[4..]);
    let even = || Some("even".to_owned());
    let filter = WorkflowFilter { name: even(), ..Default::default() };
    assert_eq!(list(filter).await, [all[0], all[2], all[4], all[6]]);
    let filter = WorkflowFilter { name: even(), state: done(), before: None };
    assert_eq!(list(filter).await, [all[4], all[6]]);

    let query = StepQuery { state: Some(StepState::Waiting), after: None, limit: 10 };
    let waiting = stage.store.workflow_steps(all[0], query).await.unwrap();
    assert_eq!(waiting.iter().map(|step| (step.name.as_str(), step.open)).collect::<Vec<_>>(), [("b", 1)]);
    let query = StepQuery { state: None, after: Some(0), limit: 10 };
    let behind = stage.store.workflow_steps(all[0], query).await.unwrap();
    assert_eq!(behind, waiting);
    assert_eq!((behind[0].job_type.as_str(), behind[0].job_state), ("noop", JobState::Pending));
    assert_eq!(stage.store.workflow_edges(all[0], 1, 10).await.unwrap(), []);
    assert_eq!(stage.store.workflow_edges(all[0], 2, 10).await.unwrap(), [(0, 1)]);
}

pub async fn what_steps_gave_is_kept_as_long_as_their_workflow<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let new = workflow(&["a", "b"], &[(0, 1)]);
    submit(stage, &new).await;
    let a = stage.claim("default", 1, session).await.remove(0);
    stage.finish(lease(&a), completed()).await;
    advance(stage, &[a.id], LIMIT).await;
    let forget = |limit| WorkflowOperation::Prune {
        completed: DAY,
        cancelled: DAY,
        failed: DAY,
        limit,
        leader: stage.leader,
    };
    let nothing = WorkflowOutcome::Pruned { more: false };
    stage.pass(10 * DAY);
    assert_eq!(stage.prune(prune(100)).await.0, 0, "a step may read it yet");
    assert_eq!(asked(stage, forget(100)).await, nothing, "it has not ended");
    assert_eq!(run(stage, session, &new, |_| completed()).await, ["b"]);
    stage.pass(DAY);
    assert_eq!(asked(stage, forget(100)).await, nothing);
    stage.pass(Duration::from_micros(1));
    assert_eq!(stage.prune(prune(100)).await.0, 0);
    let mut rounds = 0;
    while asked(stage, forget(1)).await == (WorkflowOutcome::Pruned { more: true }) {
        rounds += 1;
        assert!(rounds < 20);
    }
    // Two jobs, an edge, two steps and the workflow.
    assert_eq!(rounds, 6);
    assert_eq!(stage.store.workflow(new.id).await.unwrap(), None);
    assert!(steps_of(stage, new.id).await.is_empty());
    assert_eq!(stage.prune(prune(100)).await.0, 2);
    assert!(stage.list(JobFilter::default()).await.is_empty());

    // One that has failed, and that nobody has repaired: what waits in it is cancelled. One whose last job waits is kept.
    let mut failed_one = diamond();
    failed_one.on_end = Some(NewJob { queue: "other".to_owned(), ..job() });
    submit(stage, &failed_one).await;
    run(stage, session, &failed_one, |_| failed(None)).await;
    stage.pass(2 * DAY);
    assert_eq!(asked(stage, forget(100)).await, nothing);
    let last = stage.claim("other", 1, session).await.remove(0);
    stage.finish(lease(&last), completed()).await;
    while asked(stage, forget(100)).await == (WorkflowOutcome::Pruned { more: true }) {}
    for step in &failed_one.steps[1..] {
        assert_eq!(stage.state(step.job.id).await, JobState::Cancelled);
    }
}

pub async fn only_the_leader_advances_and_forgets<B: Backend>(stage: &mut Stage<B>) {
    if !B::SHARED {
        return;
    }
    let day = DAY;
    let leader = stage.leader + 1;
    for operation in [
        WorkflowOperation::Advance { jobs: vec![Uuid::now_v7()], limit: LIMIT, leader },
        WorkflowOperation::Prune { completed: day, cancelled: day, failed: day, limit: 10, leader },
    ] {
        assert_eq!(stage.one(Operation::Workflow(operation)).await, Outcome::NotLeader);
    }
}

pub async fn what_many_steps_wait_for_is_advanced_in_bounded_writes<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    let names: Vec<String> = (0..24).map(|number| format!("{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Each of the first four is waited for by all of the last twenty.
    let edges: Vec<(u32, u32)> = (0..4).flat_map(|from| (4..24).map(move |to| (from, to))).collect();
    let new = workflow(&names, &edges);
    submit(stage, &new).await;
    let claimed = stage.claim("default", 100, session).await;
    let jobs: Vec<Uuid> = claimed.iter().map(|job| job.id).collect();
    for one in &claimed {
        stage.finish(lease(one), completed()).await;
    }
    let operation = WorkflowOperation::Advance { jobs: jobs.clone(), limit: 45, leader: stage.leader };
    let outcome = asked(stage, operation.clone()).await;
    let WorkflowOutcome::Advanced { left, steps: 2, ended: 0, .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(left, jobs[2..]);
    assert_eq!(seen(stage, new.id).await.counts, [20, 2, 2, 0, 0]);
    assert_eq!(advance(stage, &left, 1).await, (2, 0));
    assert_eq!(seen(stage, new.id).await.counts, [0, 20, 4, 0, 0]);
}

pub async fn ten_thousand_steps_cost_ten_thousand_times_one<B: Backend>(stage: &mut Stage<B>) {
    let session = stage.session().await;
    // Ten rows of a thousand: each step waits for the one above it; the first of a row for all of the row above.
    let (rows, width) = (10u32, 1000u32);
    let names: Vec<String> = (0..rows * width).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut edges: Vec<(u32, u32)> = (width..rows * width).map(|step| (step - width, step)).collect();
    edges.extend(
        (1..rows).flat_map(|row| ((row - 1) * width + 1..row * width).map(move |step| (step, row * width))),
    );
    edges.sort_unstable();
    let mut new = workflow(&names, &edges);
    new.on_end = Some(job());
    submit(stage, &new).await;
    let mut done = 0;
    while done < rows * width {
        let claimed = stage.claim("default", 500, session).await;
        assert!(!claimed.is_empty(), "{done} are done");
        let ends = claimed.iter().map(|job| Operation::Finish {
            lease: lease(job),
            started_at: None,
            end: AttemptEnd::Completed { result: None },
        });
        stage.apply(ends.collect()).await;
        let jobs: Vec<Uuid> = claimed.iter().map(|job| job.id).collect();
        let advanced = advance(stage, &jobs, LIMIT).await.0;
        assert_eq!(advanced as usize, claimed.len());
        done += advanced;
    }
    let record = seen(stage, new.id).await;
    assert_eq!((record.state, record.counts), (WorkflowState::Completed, [0, 0, rows * width, 0, 0]));
    assert_eq!(stage.claim("default", 10, session).await.len(), 1);
}
