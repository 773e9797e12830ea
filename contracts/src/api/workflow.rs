//! Workflows: jobs that wait for each other.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::SubmitJob;
use crate::{JobState, Timestamp};

/// What becomes of the steps that wait for a step which has failed for good, or was cancelled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// They do not run, nor what waits for them; the others go on, and then the workflow has failed. It can be resumed.
    #[default]
    Fail,
    /// They run all the same and see that it has failed; the workflow can still be completed.
    Continue,
}

/// A step of a workflow: a job, and what it waits for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "Map<String, Value>")]
pub struct WorkflowStep {
    /// Its name, one of its own in the workflow: 1 to 200 bytes of text without control characters.
    pub name: String,
    /// The names of the steps that must have ended before it may run. Default: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The names of steps that are to wait for it; of steps that are added by a running one, those that wait still.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<String>,
    /// What becomes of the steps that wait for it if it fails for good or is cancelled.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// The job. Its id is given by the server.
    #[serde(flatten)]
    pub job: SubmitJob,
}

/// What a step takes beside the fields of its job.
#[derive(Deserialize)]
struct OwnFields {
    name: String,
    #[serde(default)]
    after: Vec<String>,
    #[serde(default)]
    before: Vec<String>,
    #[serde(default)]
    on_failure: OnFailure,
}

/// What is neither a step's nor a job's is an error: it would be lost.
impl TryFrom<Map<String, Value>> for WorkflowStep {
    type Error = serde_json::Error;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, serde_json::Error> {
        let own = ["name", "after", "before", "on_failure"];
        let own = own.into_iter().filter_map(|field| Some((field.to_owned(), fields.remove(field)?)));
        let own: Map<String, Value> = own.collect();
        let OwnFields { name, after, before, on_failure } = serde_json::from_value(Value::Object(own))?;
        let job = serde_json::from_value(Value::Object(fields))?;
        Ok(WorkflowStep { name, after, before, on_failure, job })
    }
}

/// That of a job without an id, and with a step's own fields: a job takes no others, so the two cannot stand side by side.
#[cfg(feature = "openapi")]
impl utoipa::PartialSchema for WorkflowStep {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        use utoipa::openapi::{ArrayBuilder, ObjectBuilder, Ref, RefOr, Schema, Type};
        let mut schema = SubmitJob::schema();
        if let RefOr::T(Schema::Object(object)) = &mut schema {
            let name =
                || ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(200));
            let names = |said| ArrayBuilder::new().items(name()).description(Some(said));
            let said = "Its name, one of its own in the workflow.";
            object.properties.retain(|name, _| name != "id");
            object.properties.insert("name".to_owned(), name().description(Some(said)).into());
            let said = "The names of the steps that must have ended before it may run. Default: none.";
            object.properties.insert("after".to_owned(), names(said).into());
            let said = "The names of steps that are to wait for it. Default: none.";
            object.properties.insert("before".to_owned(), names(said).into());
            let policy = RefOr::Ref(Ref::from_schema_name("OnFailure"));
            object.properties.insert("on_failure".to_owned(), policy);
            object.required.push("name".to_owned());
            object.description = Some("A step of a workflow: a job, and what it waits for.".to_owned());
        }
        schema
    }
}

#[cfg(feature = "openapi")]
impl utoipa::ToSchema for WorkflowStep {}

impl WorkflowStep {
    /// It waits for the steps of these names as well.
    #[must_use]
    pub fn waits_for<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.after.extend(names.into_iter().map(Into::into));
        self
    }

    /// The steps of these names wait for it as well.
    #[must_use]
    pub fn runs_before<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.before.extend(names.into_iter().map(Into::into));
        self
    }

    /// What becomes of those that wait for it if it fails.
    #[must_use]
    pub fn on_failure(self, on_failure: OnFailure) -> Self {
        WorkflowStep { on_failure, ..self }
    }
}

/// A workflow to be run: steps, each a job, that wait for each other. One whose steps wait for nothing is a batch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SubmitWorkflow {
    /// The workflow's id. Submitting the same workflow with the same id again changes nothing. Default: a new one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<Uuid>,
    /// What it is called; others may be called the same. 1 to 200 bytes of text without control characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The steps, 1 to 10000. All of them are stored, or none.
    pub steps: Vec<WorkflowStep>,
    /// A job that runs when the workflow has ended, whichever way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_end: Option<SubmitJob>,
}

/// An accepted workflow. It is stored durably.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkflowSubmitted {
    /// Its id.
    pub id: Uuid,
    /// Its steps.
    pub steps: u32,
    /// Whether this very workflow had been accepted before, under the same id.
    pub duplicate: bool,
}

/// Where a workflow is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum WorkflowState {
    /// Steps run, or may.
    Running,
    /// Somebody has cancelled it, and some steps have not ended yet.
    Cancelling,
    /// Every step has ended, none of those that had to be completed otherwise.
    Completed,
    /// Nothing can go on, because a step failed or was cancelled. It can be resumed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl WorkflowState {
    /// Every state.
    pub const ALL: [WorkflowState; 5] = [
        WorkflowState::Running,
        WorkflowState::Cancelling,
        WorkflowState::Completed,
        WorkflowState::Failed,
        WorkflowState::Cancelled,
    ];

    /// The state's name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            WorkflowState::Running => "running",
            WorkflowState::Cancelling => "cancelling",
            WorkflowState::Completed => "completed",
            WorkflowState::Failed => "failed",
            WorkflowState::Cancelled => "cancelled",
        }
    }

    /// Whether no step goes on any more, unless it is resumed.
    pub const fn has_ended(self) -> bool {
        !matches!(self, WorkflowState::Running | WorkflowState::Cancelling)
    }
}

impl fmt::Display for WorkflowState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// There is no such state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownState(&'static str);

impl fmt::Display for UnknownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no such state; there are {}", self.0)
    }
}

impl std::error::Error for UnknownState {}

impl FromStr for WorkflowState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = WorkflowState::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or(UnknownState("running, cancelling, completed, failed and cancelled"))
    }
}

/// Where a step is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It waits for other steps.
    Waiting,
    /// Its job may run, or runs.
    Active,
    /// Its job is completed.
    Completed,
    /// Its job failed for good.
    Failed,
    /// Its job was cancelled.
    Cancelled,
}

impl StepState {
    /// Every state.
    pub const ALL: [StepState; 5] = [
        StepState::Waiting,
        StepState::Active,
        StepState::Completed,
        StepState::Failed,
        StepState::Cancelled,
    ];

    /// The state's name on every wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            StepState::Waiting => "waiting",
            StepState::Active => "active",
            StepState::Completed => "completed",
            StepState::Failed => "failed",
            StepState::Cancelled => "cancelled",
        }
    }

    /// Whether its job is over.
    pub const fn has_ended(self) -> bool {
        !matches!(self, StepState::Waiting | StepState::Active)
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for StepState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, UnknownState> {
        let found = StepState::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or(UnknownState("waiting, active, completed, failed and cancelled"))
    }
}

/// A workflow, with how many of its steps are in each state; the numbers are kept, not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkflowView {
    /// Its id.
    pub id: Uuid,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is on its way.
    pub state: WorkflowState,
    /// Its steps.
    pub steps: u32,
    /// Steps that wait for others; once the workflow has failed, those that its failed steps keep from running.
    pub waiting: u32,
    /// Steps whose jobs may run, or run.
    pub active: u32,
    /// Steps that are completed.
    pub completed: u32,
    /// Steps that failed for good.
    pub failed: u32,
    /// Steps that were cancelled.
    pub cancelled: u32,
    /// The job that runs when it has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_end: Option<Uuid>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A page of workflows, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkflowList {
    /// The workflows.
    pub workflows: Vec<WorkflowView>,
    /// What to give as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A step of a workflow, as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepView {
    /// Its place among the steps, from 0.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its job; after a repair, the newest one.
    pub job: Uuid,
    /// The job's type.
    #[serde(rename = "type")]
    pub job_type: String,
    /// Where it is on its way.
    pub state: StepState,
    /// The state of its job.
    pub job_state: JobState,
    /// What becomes of the steps that wait for it if it fails.
    pub on_failure: OnFailure,
    /// Steps that it waits for still.
    pub open: u32,
}

/// A page of the steps of a workflow, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepList {
    /// The steps.
    pub steps: Vec<StepView>,
    /// What to give as `cursor` for the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// A workflow as a graph.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkflowGraph {
    /// The workflow.
    pub workflow: WorkflowView,
    /// Its first steps, as many as were asked for.
    pub steps: Vec<StepView>,
    /// Which of these steps wait for which, by their numbers: the earlier one first.
    pub edges: Vec<(u32, u32)>,
    /// Whether the workflow has more steps than these.
    pub truncated: bool,
}

impl WorkflowGraph {
    /// The graph as a Mermaid flowchart.
    pub fn mermaid(&self) -> String {
        use std::fmt::Write as _;
        let mut text = "flowchart LR\n".to_owned();
        for step in &self.steps {
            // A label is HTML to Mermaid; writing to a string does not fail.
            let _ = writeln!(text, "    s{}[\"{}\"]:::{}", step.number, label(&step.name), step.state);
        }
        for (from, to) in &self.edges {
            let _ = writeln!(text, "    s{from} --> s{to}");
        }
        if self.truncated {
            let left = self.workflow.steps as usize - self.steps.len().min(self.workflow.steps as usize);
            let _ = writeln!(text, "    more[\"and {left} more\"]");
        }
        text.push_str(
            "    classDef waiting fill:#eee,stroke:#999\n    classDef active fill:#cdf,stroke:#36c\n    \
             classDef completed fill:#cfc,stroke:#393\n    classDef failed fill:#fcc,stroke:#c33\n    \
             classDef cancelled fill:#fec,stroke:#c93\n",
        );
        text
    }
}

/// Text within the quotes of a Mermaid label.
fn label(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut label, one| {
        match one {
            '"' | '#' | '&' | '<' | '>' | ';' | '`' | '\\' => {
                label.push_str(&format!("#{};", u32::from(one)))
            }
            one => label.push(one),
        }
        label
    })
}

/// What a step has come to, for those that wait for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StepResult {
    /// The step's place among the steps of its workflow, from 0.
    pub number: u32,
    /// The step's name.
    pub name: String,
    /// Where it is on its way: ended, for a step that may run.
    pub state: StepState,
    /// Its job.
    pub job: Uuid,
    /// What its job gave, once completed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// The message of its job's last failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// What the job of a step is given: what the steps that it waits for have come to. Of the job that runs at a workflow's end,
/// the workflow alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct JobInputs {
    /// The workflow as it is now.
    pub workflow: WorkflowView,
    /// The step's name; absent for the job that runs at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The steps that it waits for, in their order.
    pub results: Vec<StepResult>,
    /// What to give as `cursor` for those that follow; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

/// What became of a workflow that was resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkflowResumed {
    /// The workflow.
    pub id: Uuid,
    /// Steps whose jobs run again.
    pub steps: u32,
}

/// What became of a workflow that was cancelled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WorkflowCancelled {
    /// The workflow.
    pub id: Uuid,
    /// Its state: `cancelling` as long as a job of it runs.
    pub state: WorkflowState,
    /// Steps that were told to end, and run still.
    pub running: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_is_drawn_and_no_name_breaks_out_of_its_label() {
        let workflow = WorkflowView {
            id: Uuid::nil(),
            name: None,
            state: WorkflowState::Running,
            steps: 3,
            waiting: 2,
            active: 1,
            completed: 0,
            failed: 0,
            cancelled: 0,
            on_end: None,
            created_at: Timestamp::from_micros(0),
            updated_at: Timestamp::from_micros(0),
            finished_at: None,
        };
        let step = |number, name: &str, state| StepView {
            number,
            name: name.to_owned(),
            job: Uuid::nil(),
            job_type: "noop".to_owned(),
            state,
            job_state: JobState::Available,
            on_failure: OnFailure::Fail,
            open: 0,
        };
        let steps = vec![step(0, "a", StepState::Active), step(1, "b\"]-->x", StepState::Waiting)];
        let graph = WorkflowGraph { workflow, steps, edges: vec![(0, 1)], truncated: true };
        let lines = "flowchart LR\n    s0[\"a\"]:::active\n    s1[\"b#34;]--#62;x\"]:::waiting\n    s0 --> s1\n    more[\"and 1 more\"]\n";
        assert!(graph.mermaid().starts_with(lines), "{}", graph.mermaid());
    }

    #[test]
    fn a_step_is_written_as_a_job_with_a_name() {
        let step: WorkflowStep =
            serde_json::from_value(serde_json::json!({ "name": "a", "type": "noop", "after": ["b"] }))
                .unwrap();
        assert_eq!((step.job.job_type.as_str(), step.on_failure), ("noop", OnFailure::Fail));
        let wrong = serde_json::json!({ "name": "a", "type": "noop", "afer": ["b"] });
        let error = serde_json::from_value::<WorkflowStep>(wrong).unwrap_err().to_string();
        assert!(error.contains("unknown field `afer`"), "{error}");
        let text = serde_json::to_value(&step).unwrap();
        assert_eq!(
            text,
            serde_json::json!({
                "name": "a", "type": "noop", "after": ["b"], "on_failure": "fail", "payload": {},
            })
        );
    }
}
