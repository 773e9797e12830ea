//! What the tables of the views show.

mod event;
mod fleet;
mod job;
mod queue;
mod setting;
mod tree;
mod workflow;

pub use event::EventRow;
pub use fleet::{EdgeRow, NodeRow};
pub use job::{JobRow, state_tone};
pub use queue::{CauseRow, CronRow, QueueRow};
pub use setting::{CheckRow, SettingRow};
pub use tree::{TreeRow, tree_tone};
pub use workflow::{StepRow, WorkflowRow, step_tone, workflow_tone};

use callboard_contracts::Timestamp;

use crate::filter::Field;

/// Seconds since then, as a field of a filter.
fn seconds_since(at: Timestamp, now: Timestamp) -> Field<'static> {
    Field::Number(now.saturating_since(at).as_secs_f64())
}

/// A text that may be missing.
fn maybe(text: Option<&str>) -> Field<'_> {
    text.map_or(Field::Missing, |text| Field::Text(text.into()))
}
