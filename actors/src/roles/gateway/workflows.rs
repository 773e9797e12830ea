//! Taking workflows in, cancelling and resuming them, and adding steps to them.

use callboard_contracts::{
    api::{FieldError, OnFailure, WorkflowCancelled, WorkflowResumed, WorkflowSubmitted},
    workflow::{self, PlanProblem, PlannedStep},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::task::yield_now;
use uuid::Uuid;

use super::{
    super::{
        audit::{Deed, carry_out},
        node::Node,
        request::{Form, Origin, Refusal, Who},
        workflows::request::{AddSteps, CancelWorkflow, ResumeWorkflow, SubmitWorkflow},
    },
    backlog_full,
    check::check,
    fingerprint::Fingerprint,
    secrets, store_full,
};
use crate::{
    edges::store::{
        Operation, Outcome,
        record::NewJob,
        workflow::{AddedSteps, NewStep, NewWorkflow, WorkflowOperation, WorkflowOutcome},
    },
    jobs::registry::{bounded, pointer},
};

/// Steps that are checked before others on the thread have their turn.
const CHECKED_AT_ONCE: usize = 32;
/// Problems that are listed at most.
const MAX_PROBLEMS: usize = 32;
/// Steps that one write of a resumption runs again.
const RESUMED_AT_ONCE: u32 = 500;

/// What is the workflow's own; its steps are read one by one, so that each problem has its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    id: Option<Uuid>,
    #[serde(default)]
    name: Option<String>,
    steps: Vec<Value>,
    #[serde(default)]
    on_end: Option<Value>,
}

/// What is a step's own; the rest is its job's.
#[derive(Deserialize)]
struct Head {
    name: String,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    before: Vec<String>,
    #[serde(default)]
    on_failure: OnFailure,
}

/// Stores a workflow.
pub(super) async fn submit(node: &Node, request: SubmitWorkflow) -> Result<WorkflowSubmitted, Refusal> {
    let SubmitWorkflow { workflow: value, origin } = request;
    let mut described = value.clone();
    if let Some(described) = described.as_object_mut() {
        // It is what the fingerprint is compared for.
        described.remove("id");
    }
    let fingerprint = Fingerprint::of_workflow(&secrets::blinded_workflow(node, &node.vault(), described));
    let Raw { id, name, steps, on_end } = read(value, "")?;
    if let Some(Err(problem)) = name.as_deref().map(workflow::check_name) {
        return Err(invalid("/name", problem.to_string()));
    }
    let Read { steps, planned } = read_steps(node, steps, origin).await?;
    let edges = workflow::plan(&planned).map_err(planned_badly)?;
    let on_end = match on_end {
        Some(job) => Some(read_job(node, job, origin).map_err(|refusal| at("/on_end", refusal))?),
        None => None,
    };
    let count = steps.len();
    let new = NewWorkflow { id: id.unwrap_or_else(Uuid::now_v7), name, fingerprint, steps, edges, on_end };
    let (id, steps) = (new.id, u32::try_from(count).unwrap_or(u32::MAX));
    match store(node, WorkflowOperation::Submit(Box::new(new))).await? {
        WorkflowOutcome::Stored { queues } => {
            (0..count).for_each(|_| node.metrics.accepted());
            node.wake(&queues);
            Ok(WorkflowSubmitted { id, steps, duplicate: false })
        }
        WorkflowOutcome::Duplicate { steps } => Ok(WorkflowSubmitted { id, steps, duplicate: true }),
        WorkflowOutcome::Conflict => Err(Refusal::WorkflowConflict(id)),
        other => Err(refused(node, other)),
    }
}

/// Adds steps to the workflow of a step that runs; how many are new. `None`: another attempt has the job.
pub(crate) async fn add_steps(node: &Node, request: AddSteps) -> Result<Option<u32>, Refusal> {
    let AddSteps { lease, steps, origin } = request;
    let Read { steps, planned } = read_steps(node, steps, origin).await?;
    let resolved = workflow::plan_addition(&planned).map_err(planned_badly)?;
    let (mut after, mut before) = (Vec::new(), Vec::new());
    for (name, named) in resolved.others {
        after.extend(named.followed_by.into_iter().map(|place| (place, name.clone())));
        before.extend(named.waits_for.into_iter().map(|place| (place, name.clone())));
    }
    let count = steps.len();
    let max_steps = u32::try_from(workflow::MAX_STEPS).unwrap_or(u32::MAX);
    let added = AddedSteps { lease, steps, edges: resolved.edges, after, before, max_steps };
    match store(node, WorkflowOperation::AddSteps(Box::new(added))).await? {
        WorkflowOutcome::Added { steps, queues } => {
            (0..count.min(steps as usize)).for_each(|_| node.metrics.accepted());
            node.wake(&queues);
            Ok(Some(steps))
        }
        WorkflowOutcome::Stale => Ok(None),
        WorkflowOutcome::Refused(refusal) => Err(invalid("", refusal.to_string())),
        WorkflowOutcome::NotFound => Err(Refusal::NotFound(lease.id)),
        WorkflowOutcome::Conflict => Err(Refusal::Conflict(lease.id)),
        other => Err(refused(node, other)),
    }
}

pub(super) async fn cancel(
    node: &Node,
    who: &Who,
    CancelWorkflow { id }: CancelWorkflow,
) -> Result<WorkflowCancelled, Refusal> {
    let deed = Deed::new("workflow.cancel", id.to_string());
    match carry_out(node, who, deed, Operation::Workflow(WorkflowOperation::Cancel { id })).await? {
        Outcome::Workflow(WorkflowOutcome::Cancelled { state, told }) => {
            // The other nodes are told by the store.
            for (lease, queue, _) in &told {
                node.call_off(*lease, queue);
            }
            node.wake_all();
            Ok(WorkflowCancelled { id, state, running: u32::try_from(told.len()).unwrap_or(u32::MAX) })
        }
        Outcome::Workflow(WorkflowOutcome::NotFound) => Err(Refusal::NoSuchWorkflow(id)),
        Outcome::Workflow(WorkflowOutcome::NotPossible { state }) => Err(Refusal::WorkflowState {
            state,
            detail: "only one that is not completed or cancelled can be cancelled".to_owned(),
        }),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

pub(super) async fn resume(
    node: &Node,
    who: &Who,
    ResumeWorkflow { id }: ResumeWorkflow,
) -> Result<WorkflowResumed, Refusal> {
    if node.is_draining() {
        return Err(Refusal::Stopping);
    }
    let operation = || Operation::Workflow(WorkflowOperation::Resume { id, limit: RESUMED_AT_ONCE });
    let deed = Deed::new("workflow.resume", id.to_string());
    let mut outcome = carry_out(node, who, deed, operation()).await?;
    let mut resumed = 0;
    // What fails again meanwhile is not run again by the same request.
    let most = u32::try_from(workflow::MAX_STEPS).unwrap_or(u32::MAX);
    loop {
        match outcome {
            Outcome::Workflow(WorkflowOutcome::Resumed { steps, more, queues }) => {
                node.wake(&queues);
                resumed += steps;
                if !more || resumed >= most || node.is_draining() {
                    return Ok(WorkflowResumed { id, steps: resumed });
                }
            }
            Outcome::Workflow(WorkflowOutcome::NotFound) => return Err(Refusal::NoSuchWorkflow(id)),
            Outcome::Workflow(WorkflowOutcome::NotPossible { state }) => {
                return Err(Refusal::WorkflowState {
                    state,
                    detail: "only one that runs or has failed can be resumed".to_owned(),
                });
            }
            other => return Err(Refusal::Unavailable(other.unexpected())),
        }
        outcome = node.store.write(operation()).await?;
    }
}

async fn store(node: &Node, operation: WorkflowOperation) -> Result<WorkflowOutcome, Refusal> {
    match node.store.write(Operation::Workflow(operation)).await? {
        Outcome::Workflow(outcome) => Ok(outcome),
        other => Err(Refusal::Unavailable(other.unexpected())),
    }
}

fn refused(node: &Node, outcome: WorkflowOutcome) -> Refusal {
    match outcome {
        WorkflowOutcome::BacklogFull { queue, waiting, limit } => backlog_full(node, queue, waiting, limit),
        WorkflowOutcome::StoreFull { queue, waiting, limit } => store_full(node, &queue, waiting, limit),
        other => Refusal::Unavailable(Outcome::Workflow(other).unexpected()),
    }
}

/// Steps that have the right form.
struct Read {
    steps: Vec<NewStep>,
    planned: Vec<PlannedStep>,
}

/// Reads and checks each step; what is wrong with any of them is said with its place.
async fn read_steps(node: &Node, values: Vec<Value>, origin: Origin) -> Result<Read, Refusal> {
    if values.len() > workflow::MAX_STEPS {
        let message = format!("{} steps; {} are allowed", values.len(), workflow::MAX_STEPS);
        return Err(invalid("/steps", message));
    }
    let mut read =
        Read { steps: Vec::with_capacity(values.len()), planned: Vec::with_capacity(values.len()) };
    let mut errors = Vec::new();
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 && index % CHECKED_AT_ONCE == 0 {
            yield_now().await;
        }
        match read_step(node, value, origin) {
            Ok((head, job)) => {
                let Head { name, after, before, on_failure } = head;
                read.steps.push(NewStep { name: name.clone(), on_failure, job });
                read.planned.push(PlannedStep { name, after, before });
            }
            Err(refusal @ (Refusal::Unavailable(_) | Refusal::Stopping)) => return Err(refusal),
            Err(refusal) => errors.extend(fields(&format!("/steps/{index}"), refusal)),
        }
        if errors.len() >= MAX_PROBLEMS {
            break;
        }
    }
    if errors.is_empty() { Ok(read) } else { Err(Refusal::Invalid(errors)) }
}

fn read_step(node: &Node, value: Value, origin: Origin) -> Result<(Head, NewJob), Refusal> {
    let Value::Object(mut job) = value else {
        return Err(invalid("", "a step is a JSON object".to_owned()));
    };
    let own = ["name", "after", "before", "on_failure"];
    let own: Map<String, Value> =
        own.into_iter().filter_map(|field| Some((field.to_owned(), job.remove(field)?))).collect();
    let head: Head = read(Value::Object(own), "")?;
    Ok((head, read_job(node, Value::Object(job), origin)?))
}

fn read_job(node: &Node, job: Value, origin: Origin) -> Result<NewJob, Refusal> {
    if job.get("id").is_some_and(|id| !id.is_null()) {
        return Err(invalid("/id", "the job of a step gets its id from the server".to_owned()));
    }
    if job.get("unique").is_some_and(|unique| !unique.is_null()) {
        return Err(invalid("/unique", "the job of a step cannot be the only one of its kind".to_owned()));
    }
    node.metrics.submitted(job.get("type").and_then(Value::as_str).unwrap_or_default());
    check(node, Form::Step, job, origin)
}

fn read<T: for<'d> Deserialize<'d>>(value: Value, place: &str) -> Result<T, Refusal> {
    // An array would be read as the fields in their order.
    if !value.is_object() {
        return Err(invalid(place, "a workflow is a JSON object".to_owned()));
    }
    serde_path_to_error::deserialize(value).map_err(|found| {
        invalid(&format!("{place}{}", pointer(found.path())), bounded(found.inner().to_string()))
    })
}

fn planned_badly(problems: Vec<PlanProblem>) -> Refusal {
    let field = |problem: PlanProblem| FieldError {
        pointer: match problem.step {
            Some(step) => format!("/steps/{step}{}", problem.pointer),
            None => "/steps".to_owned(),
        },
        message: problem.message,
    };
    Refusal::Invalid(problems.into_iter().map(field).collect())
}

fn invalid(pointer: &str, message: String) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: pointer.to_owned(), message }])
}

/// What is wrong with a part of the workflow, at its place.
fn at(place: &str, refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Unavailable(_) | Refusal::Stopping => refusal,
        refusal => Refusal::Invalid(fields(place, refusal)),
    }
}

fn fields(place: &str, refusal: Refusal) -> Vec<FieldError> {
    match refusal {
        Refusal::Invalid(errors) => errors
            .into_iter()
            .map(|error| FieldError { pointer: format!("{place}{}", error.pointer), ..error })
            .collect(),
        refusal @ Refusal::UnknownType { .. } => {
            vec![FieldError { pointer: format!("{place}/type"), message: refusal.to_string() }]
        }
        refusal => vec![FieldError { pointer: format!("{place}/payload"), message: refusal.to_string() }],
    }
}
