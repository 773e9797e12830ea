//! Workflows and their steps.

use callboard_contracts::{
    Timestamp,
    api::{StepState, StepView, WorkflowState, WorkflowView},
};
use uuid::Uuid;

use super::{maybe, seconds_since};
use crate::{
    filter::{Field, Fields},
    format,
    table::{Cell, Column, Row, SortKey, Tone},
};

/// A workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkflowRow(pub WorkflowView);

/// What a workflow's state means.
pub fn workflow_tone(state: WorkflowState) -> Tone {
    match state {
        WorkflowState::Running => Tone::Running,
        WorkflowState::Cancelling | WorkflowState::Cancelled => Tone::Cancelled,
        WorkflowState::Completed => Tone::Done,
        WorkflowState::Failed => Tone::Dead,
    }
}

impl Fields for WorkflowRow {
    fn field(&self, name: &str, now: Timestamp) -> Field<'_> {
        let flow = &self.0;
        match name {
            "id" => Field::Text(flow.id.to_string().into()),
            "name" => maybe(flow.name.as_deref()),
            "state" => Field::Text(flow.state.as_str().into()),
            "steps" => Field::Number(flow.steps.into()),
            "failed" => Field::Number(flow.failed.into()),
            "age" => seconds_since(flow.created_at, now),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(self.0.state.as_str())
            || self.0.name.as_deref().is_some_and(&mut *fits)
            || fits(&self.0.id.to_string())
    }
}

impl Row for WorkflowRow {
    type Key = Uuid;

    const COLUMNS: &'static [Column] = &[
        Column::new("NAME", 16).grows(3),
        Column::new("STATE", 10),
        Column::new("STEPS", 6).right(),
        Column::new("DONE", 6).right(),
        Column::new("ACTIVE", 6).right(),
        Column::new("WAIT", 6).right(),
        Column::new("FAILED", 6).right(),
        Column::new("CANC", 5).right().from(100),
        Column::new("AGE", 5).right(),
        Column::new("ID", 36).from(120),
    ];

    const FIELDS: &'static [&'static str] = &["id", "name", "state", "steps", "failed", "age"];

    fn key(&self) -> Uuid {
        self.0.id
    }

    fn cell(&self, column: usize, now: Timestamp) -> Cell {
        let flow = &self.0;
        let some =
            |number: u32, tone| Cell::new(number.to_string(), if number > 0 { tone } else { Tone::Plain });
        match column {
            0 => match &flow.name {
                Some(name) => format::clean(name).into(),
                None => flow.id.to_string().into(),
            },
            1 => Cell::new(flow.state.as_str(), workflow_tone(flow.state)),
            2 => flow.steps.to_string().into(),
            3 => some(flow.completed, Tone::Done),
            4 => some(flow.active, Tone::Running),
            5 => flow.waiting.to_string().into(),
            6 => some(flow.failed, Tone::Dead),
            7 => some(flow.cancelled, Tone::Cancelled),
            8 => format::age(flow.created_at, now).into(),
            _ => flow.id.to_string().into(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let flow = &self.0;
        match column {
            0 => SortKey::Text(flow.name.as_deref().unwrap_or("").into()),
            1 => SortKey::Text(flow.state.as_str().into()),
            2 => SortKey::Number(flow.steps.into()),
            3 => SortKey::Number(flow.completed.into()),
            4 => SortKey::Number(flow.active.into()),
            5 => SortKey::Number(flow.waiting.into()),
            6 => SortKey::Number(flow.failed.into()),
            7 => SortKey::Number(flow.cancelled.into()),
            8 => SortKey::Number(flow.created_at.as_micros().saturating_neg()),
            _ => SortKey::Text(flow.id.to_string().into()),
        }
    }
}

/// A step of a workflow, at its place in the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct StepRow {
    /// The step.
    pub view: StepView,
    /// How many steps must end one after the other before it may run.
    pub level: usize,
    /// What it waits for, by name.
    pub after: Vec<String>,
}

/// What a step's state means.
pub fn step_tone(state: StepState) -> Tone {
    match state {
        StepState::Waiting => Tone::Plain,
        StepState::Active => Tone::Running,
        StepState::Completed => Tone::Done,
        StepState::Failed => Tone::Dead,
        StepState::Cancelled => Tone::Cancelled,
    }
}

impl Fields for StepRow {
    fn field(&self, name: &str, _: Timestamp) -> Field<'_> {
        match name {
            "name" => Field::Text(self.view.name.as_str().into()),
            "state" => Field::Text(self.view.state.as_str().into()),
            "type" | "worker" => Field::Text(self.view.job_type.as_str().into()),
            "after" => Field::Texts(&self.after),
            "level" => Field::Number(self.level as f64),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(&self.view.name) || fits(self.view.state.as_str()) || fits(&self.view.job_type)
    }
}

impl Row for StepRow {
    type Key = u32;

    const COLUMNS: &'static [Column] = &[
        Column::new("STEP", 24).grows(3),
        Column::new("STATE", 10),
        Column::new("TYPE", 12).grows(1),
        Column::new("AFTER", 16).grows(3),
        Column::new("JOB", 36).from(120),
    ];

    const FIELDS: &'static [&'static str] = &["name", "state", "type", "worker", "after", "level"];

    fn key(&self) -> u32 {
        self.view.number
    }

    fn cell(&self, column: usize, _: Timestamp) -> Cell {
        let step = &self.view;
        match column {
            0 => {
                let branch = match self.level {
                    0 => String::new(),
                    level => format!("{}└─", "  ".repeat(level.min(20) - 1)),
                };
                format!("{branch}{}", format::clean(&step.name)).into()
            }
            1 => Cell::new(step.state.as_str(), step_tone(step.state)),
            2 => format::clean(&step.job_type).into(),
            3 => format::clean(&self.after.join(", ")).into(),
            _ => step.job.to_string().into(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        match column {
            0 => SortKey::Text(self.view.name.as_str().into()),
            1 => SortKey::Text(self.view.state.as_str().into()),
            2 => SortKey::Text(self.view.job_type.as_str().into()),
            _ => SortKey::Number(self.view.number.into()),
        }
    }
}
