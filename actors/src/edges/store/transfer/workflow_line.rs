//! A workflow as a line of an export.

use callboard_contracts::{
    Timestamp,
    api::{OnFailure, StepState, WorkflowState},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::line::hexadecimal;

/// A workflow with its steps, whose jobs are told before it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkflowLine {
    pub(crate) id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) name: Option<String>,
    pub(crate) state: WorkflowState,
    #[serde(with = "hexadecimal")]
    pub(crate) fingerprint: Vec<u8>,
    /// The job that runs at its end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) on_end: Option<Uuid>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) finished_at: Option<Timestamp>,
    /// In their order: the first one has the number 0.
    pub(crate) steps: Vec<StepLine>,
}

/// A step of a workflow.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StepLine {
    pub(crate) name: String,
    pub(crate) job: Uuid,
    pub(crate) state: StepState,
    pub(crate) on_failure: OnFailure,
    /// Steps that have not counted it off yet.
    pub(crate) open: u32,
    /// The numbers of the steps that it waits for, or has waited for.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) after: Vec<u32>,
}

impl WorkflowLine {
    /// Steps in each state, and those that keep others from running.
    pub(crate) fn counts(&self) -> ([u32; 5], u32) {
        let (mut counts, mut blocking) = ([0; 5], 0);
        for step in &self.steps {
            counts[step.state as usize] += 1;
            let bad = matches!(step.state, StepState::Failed | StepState::Cancelled);
            blocking += u32::from(bad && step.on_failure == OnFailure::Fail);
        }
        (counts, blocking)
    }

    /// Which step waits for which: the earlier one first. `None`: a number is that of no step.
    pub(crate) fn edges(&self) -> Option<Vec<(u32, u32)>> {
        let count = u32::try_from(self.steps.len()).ok()?;
        let edges: Vec<(u32, u32)> = (0u32..)
            .zip(&self.steps)
            .flat_map(|(number, step)| step.after.iter().map(move |earlier| (*earlier, number)))
            .collect();
        edges.iter().all(|(earlier, later)| *earlier < count && earlier != later).then_some(edges)
    }

    /// The jobs that are kept for it.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = Uuid> {
        self.steps.iter().map(|step| step.job).chain(self.on_end)
    }
}
