//! Workflows on a node: from the gateway to the last step.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
};

use callboard_actors::{
    jobs::{Job, JobContext, JobError, JobOptions, StepError, registry::JobRegistryBuilder, step},
    roles::request::{
        CancelWorkflow, GetGraph, GetInputs, GetWorkflow, ListSteps, Origin, Refusal, ResumeWorkflow,
        SubmitWorkflow,
    },
};
use callboard_contracts::{
    JobState,
    api::{OnFailure, StepState, WorkflowState, WorkflowSubmitted, WorkflowView},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::harness::{Folder, Node, PATIENCE};

/// What the jobs of this file share with their tests.
#[derive(Default)]
struct Shared {
    broken: AtomicBool,
    splits: AtomicU32,
    stop: Notify,
}

/// Gives a number.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Give {
    number: u64,
}

impl Job for Give {
    const TYPE: &'static str = "give";
    type Output = u64;

    async fn run(self, _: &JobContext) -> Result<u64, JobError> {
        Ok(self.number)
    }
}

/// Adds up what the steps before it gave.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Sum {}

impl Job for Sum {
    const TYPE: &'static str = "sum";
    type Output = u64;

    async fn run(self, cx: &JobContext) -> Result<u64, JobError> {
        let results = cx.step_results().await?;
        Ok(results.into_iter().filter_map(|step| step.result?.as_u64()).sum())
    }
}

/// Adds so many steps before `collect`, once in an attempt that fails after it, and once in one that does not.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Split {
    parts: u64,
}

impl Job for Split {
    const TYPE: &'static str = "split";
    type Output = u64;

    fn options() -> JobOptions {
        JobOptions::new()
            .max_attempts(3)
            .retry(callboard_actors::jobs::RetryPolicy::Fixed(Default::default()))
    }

    async fn run(self, cx: &JobContext) -> Result<u64, JobError> {
        let part = |number| step(format!("part {number}"), &Give { number });
        let parts = (1..=self.parts).map(|number| Ok(part(number)?.runs_before(["collect"])));
        let added = cx.add_steps(parts.collect::<Result<_, StepError>>()?).await?;
        let shared: &Arc<Shared> = cx.state()?;
        let first = shared.splits.fetch_add(1, SeqCst) == 0;
        assert_eq!(u64::from(added), if first { self.parts } else { 0 });
        if first {
            return Err(JobError::retry("once more"));
        }
        let late = cx.add_steps(vec![step("late", &Give { number: 1 })?.waits_for(["collect"])]).await;
        assert!(matches!(&late, Err(StepError::Refused(why)) if why.contains("collect")), "{late:?}");
        Ok(0)
    }
}

/// Fails for good while it is broken.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Fragile {}

impl Job for Fragile {
    const TYPE: &'static str = "fragile";
    type Output = u64;

    async fn run(self, cx: &JobContext) -> Result<u64, JobError> {
        let shared: &Arc<Shared> = cx.state()?;
        if shared.broken.load(SeqCst) { Err(JobError::fatal("broken")) } else { Ok(40) }
    }
}

/// Runs until it is cancelled, and says that it runs.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Stay {}

impl Job for Stay {
    const TYPE: &'static str = "stay";
    type Output = ();

    async fn run(self, cx: &JobContext) -> Result<(), JobError> {
        let shared: &Arc<Shared> = cx.state()?;
        shared.stop.notify_one();
        cx.cancelled().await;
        Err(JobError::retry("cancelled"))
    }
}

fn types(shared: &Arc<Shared>) -> impl FnOnce(JobRegistryBuilder) -> JobRegistryBuilder {
    let shared = shared.clone();
    |builder| {
        let builder = builder.register::<Give>().register::<Sum>().register::<Split>().register::<Fragile>();
        builder.register::<Stay>().state(shared)
    }
}

async fn submit(node: &Node, workflow: Value) -> Result<WorkflowSubmitted, Refusal> {
    let origin = Origin { correlation_id: Uuid::now_v7(), trace: None };
    node.handles.gateway.ask(SubmitWorkflow { workflow, origin }).await.unwrap()
}

async fn seen(node: &Node, id: Uuid) -> WorkflowView {
    node.handles.read_model.ask(GetWorkflow { id }).await.unwrap().unwrap().unwrap()
}

/// Waits until the workflow is in this state.
async fn reaches(node: &Node, id: Uuid, state: WorkflowState) -> WorkflowView {
    let reached = async {
        loop {
            let now = seen(node, id).await;
            if now.state == state {
                return now;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("it is never {state}"))
}

/// The job of the step of this name.
async fn job_of(node: &Node, id: Uuid, name: &str) -> Uuid {
    let graph = node.handles.read_model.ask(GetGraph { id, limit: 10_000 }).await.unwrap().unwrap().unwrap();
    graph.steps.into_iter().find(|step| step.name == name).unwrap().job
}

#[tokio::test]
async fn results_are_passed_on_through_a_diamond() {
    let folder = Folder::new();
    let node = Node::with_types(&folder, types(&Arc::default())).await;
    let workflow = json!({"name": "diamond", "steps": [
        {"name": "a", "type": "give", "payload": {"number": 2}},
        {"name": "b", "type": "sum", "payload": {}, "after": ["a"]},
        {"name": "c", "type": "give", "payload": {"number": 3}, "after": ["a"]},
        {"name": "d", "type": "sum", "payload": {}, "after": ["b", "c"]},
    ], "on_end": {"type": "sum"}});
    let submitted = submit(&node, workflow).await.unwrap();
    assert_eq!((submitted.steps, submitted.duplicate), (4, false));
    let ended = reaches(&node, submitted.id, WorkflowState::Completed).await;
    assert_eq!((ended.completed, ended.name.as_deref()), (4, Some("diamond")));
    let d = job_of(&node, submitted.id, "d").await;
    let job = node.reaches(d, JobState::Completed).await;
    assert_eq!(job.result, Some(json!(5)));
    node.reaches(ended.on_end.unwrap(), JobState::Completed).await;

    let ask = |after, limit| node.handles.read_model.ask(GetInputs { job: d, after, limit });
    let page = ask(None, 1).await.unwrap().unwrap().unwrap();
    assert_eq!(
        (page.step.as_deref(), page.results.len(), page.next_cursor.as_deref()),
        (Some("d"), 1, Some("1"))
    );
    assert_eq!((page.results[0].name.as_str(), &page.results[0].result), ("b", &Some(json!(2))));
    let page = ask(Some(1), 1).await.unwrap().unwrap().unwrap();
    assert_eq!((page.results[0].name.as_str(), page.next_cursor), ("c", None));
    node.stop().await;
}

#[tokio::test]
async fn a_step_fans_out_and_what_waits_gathers_it_though_an_attempt_fails_between() {
    let folder = Folder::new();
    let shared = Arc::new(Shared::default());
    let node = Node::with_types(&folder, types(&shared)).await;
    let workflow = json!({"steps": [
        {"name": "split", "type": "split", "payload": {"parts": 100}},
        {"name": "collect", "type": "sum", "payload": {}, "after": ["split"]},
    ]});
    let id = submit(&node, workflow).await.unwrap().id;
    let ended = reaches(&node, id, WorkflowState::Completed).await;
    assert_eq!((ended.steps, ended.completed), (102, 102));
    assert_eq!(shared.splits.load(SeqCst), 2);
    let collect = job_of(&node, id, "collect").await;
    assert_eq!(node.reaches(collect, JobState::Completed).await.result, Some(json!(5050)));
    node.stop().await;
}

#[tokio::test]
async fn a_failed_workflow_goes_on_when_it_is_repaired() {
    let folder = Folder::new();
    let shared = Arc::new(Shared::default());
    shared.broken.store(true, SeqCst);
    let node = Node::with_types(&folder, types(&shared)).await;
    let workflow = json!({"steps": [
        {"name": "a", "type": "fragile", "payload": {}},
        {"name": "b", "type": "sum", "payload": {}, "after": ["a"]},
        {"name": "c", "type": "fragile", "payload": {}, "on_failure": "continue"},
        {"name": "d", "type": "sum", "payload": {}, "after": ["c"]},
    ]});
    let id = submit(&node, workflow).await.unwrap().id;
    let failed = reaches(&node, id, WorkflowState::Failed).await;
    assert_eq!((failed.failed, failed.waiting, failed.completed), (2, 1, 1));
    let steps = ListSteps {
        id,
        query: callboard_actors::edges::store::workflow::StepQuery { limit: 10, ..Default::default() },
    };
    let steps = node.handles.read_model.ask(steps).await.unwrap().unwrap().unwrap();
    let states: Vec<StepState> = steps.steps.iter().map(|step| step.state).collect();
    use StepState::{Completed, Failed, Waiting};
    assert_eq!(states, [Failed, Waiting, Failed, Completed]);
    assert_eq!(steps.steps[2].on_failure, OnFailure::Continue);

    shared.broken.store(false, SeqCst);
    let resumed = node.handles.gateway.ask(ResumeWorkflow { id }).await.unwrap().unwrap();
    assert_eq!(resumed.steps, 1);
    let ended = reaches(&node, id, WorkflowState::Completed).await;
    assert_eq!((ended.completed, ended.failed), (3, 1));
    let again = node.handles.gateway.ask(ResumeWorkflow { id }).await.unwrap().unwrap_err();
    assert!(matches!(again, Refusal::WorkflowState { state: WorkflowState::Completed, .. }), "{again:?}");
    let unknown = Uuid::now_v7();
    let missing = node.handles.gateway.ask(ResumeWorkflow { id: unknown }).await.unwrap().unwrap_err();
    assert_eq!(missing, Refusal::NoSuchWorkflow(unknown));
    node.stop().await;
}

#[tokio::test]
async fn cancelling_ends_what_runs_and_what_waits() {
    let folder = Folder::new();
    let shared = Arc::new(Shared::default());
    let node = Node::with_types(&folder, types(&shared)).await;
    let workflow = json!({"steps": [
        {"name": "a", "type": "stay", "payload": {}},
        {"name": "b", "type": "sum", "payload": {}, "after": ["a"]},
    ]});
    let id = submit(&node, workflow).await.unwrap().id;
    timeout(PATIENCE, shared.stop.notified()).await.unwrap();
    let cancelled = node.handles.gateway.ask(CancelWorkflow { id }).await.unwrap().unwrap();
    assert_eq!((cancelled.state, cancelled.running), (WorkflowState::Cancelling, 1));
    let ended = reaches(&node, id, WorkflowState::Cancelled).await;
    assert_eq!((ended.cancelled, ended.active, ended.waiting), (2, 0, 0));
    node.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_workflow_is_said_with_its_place_and_nothing_is_stored() {
    let folder = Folder::new();
    let node = Node::with_types(&folder, types(&Arc::default())).await;
    let good = json!({"name": "good", "type": "give", "payload": {"number": 1}});
    let cases = [
        (json!([]), "", "JSON object"),
        (json!({"steps": []}), "/steps", "at least one"),
        (json!({"steps": [good], "stpes": 1}), "", "unknown field"),
        (json!({"steps": [good], "name": ""}), "/name", "no valid name"),
        (json!({"steps": [good, {"name": "b", "type": "nobody"}]}), "/steps/1/type", "no handler"),
        (json!({"steps": [good, {"type": "give", "payload": {"number": 1}}]}), "/steps/1", "name"),
        (json!({"steps": [good, good]}), "/steps/1/name", "already"),
        (
            json!({"steps": [{"name": "x", "type": "give", "payload": {"number": "x"}}]}),
            "/steps/0/payload/number",
            "",
        ),
        (
            json!({"steps": [{"name": "x", "type": "give", "payload": {"number": 1}, "after": ["y"]}]}),
            "/steps/0/after/0",
            "no step \"y\"",
        ),
        (
            json!({"steps": [{"name": "x", "type": "give", "payload": {"number": 1}, "after": "y"}]}),
            "/steps/0/after",
            "",
        ),
        (
            json!({"steps": [{"name": "x", "type": "give", "payload": {"number": 1}, "id": Uuid::nil()}]}),
            "/steps/0/id",
            "",
        ),
        (
            json!({"steps": [{"name": "x", "type": "give", "payload": {"number": 1}, "on_failure": "panic"}]}),
            "/steps/0/on_failure",
            "",
        ),
        (json!({"steps": [good], "on_end": {"type": "give"}}), "/on_end/payload", ""),
        (
            json!({"steps": [
                {"name": "x", "type": "sum", "after": ["y"]}, {"name": "y", "type": "sum", "after": ["x"]},
            ]}),
            "/steps/",
            "circle",
        ),
    ];
    for (workflow, pointer, message) in cases {
        match submit(&node, workflow.clone()).await {
            Err(Refusal::Invalid(errors)) => {
                let found = errors
                    .iter()
                    .any(|error| error.pointer.starts_with(pointer) && error.message.contains(message));
                assert!(found, "{workflow}: {errors:?}");
            }
            other => panic!("{workflow}: {other:?}"),
        }
    }
    let many: Vec<Value> =
        (0..10_001).map(|number| json!({"name": number.to_string(), "type": "sum"})).collect();
    assert!(matches!(submit(&node, json!({"steps": many})).await, Err(Refusal::Invalid(_))));
    let list = callboard_actors::roles::request::ListJobs { filter: Default::default(), limit: 10 };
    assert!(node.handles.read_model.ask(list).await.unwrap().unwrap().jobs.is_empty());

    // The same one again is a duplicate, another one under its id a conflict.
    let id = Uuid::now_v7();
    let first = submit(&node, json!({"id": id, "steps": [good]})).await.unwrap();
    assert_eq!((first.id, first.duplicate), (id, false));
    let again = submit(&node, json!({"steps": [good], "id": id})).await.unwrap();
    assert_eq!((again.id, again.duplicate, again.steps), (id, true, 1));
    let other = submit(&node, json!({"id": id, "name": "other", "steps": [good]})).await;
    assert_eq!(other, Err(Refusal::WorkflowConflict(id)));
    node.stop().await;
}

#[tokio::test]
async fn a_workflow_outlives_its_node() {
    let folder = Folder::new();
    let shared = Arc::new(Shared::default());
    let node = Node::with_types(&folder, types(&shared)).await;
    let mut steps: Vec<Value> = (0..300)
        .map(|number| json!({"name": number.to_string(), "type": "give", "payload": {"number": number}}))
        .collect();
    let names: Vec<String> = (0..300).map(|number: u32| number.to_string()).collect();
    steps.push(json!({"name": "sum", "type": "sum", "after": names}));
    let id = submit(&node, json!({"steps": steps})).await.unwrap().id;
    node.crash().await;
    let node = Node::with_types(&folder, types(&shared)).await;
    let ended = reaches(&node, id, WorkflowState::Completed).await;
    assert_eq!(ended.completed, 301);
    let sum = job_of(&node, id, "sum").await;
    assert_eq!(node.reaches(sum, JobState::Completed).await.result, Some(json!(300 * 299 / 2)));
    node.stop().await;
}
