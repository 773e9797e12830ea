//! Jobs.

use std::sync::Arc;

use callboard_contracts::{JobState, Timestamp, api::JobSummary};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{maybe, seconds_since};
use crate::{
    filter::{Field, Fields},
    format,
    table::{Cell, Column, Row, SortKey, Tone},
};

/// A job in the list.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRow {
    /// What the list says of it.
    pub summary: JobSummary,
    /// Its payload, where a filter has asked for it.
    pub payload: Option<Arc<Map<String, Value>>>,
}

impl From<JobSummary> for JobRow {
    fn from(summary: JobSummary) -> Self {
        JobRow { summary, payload: None }
    }
}

/// What a job's state means.
pub fn state_tone(state: JobState) -> Tone {
    match state {
        JobState::Completed => Tone::Done,
        JobState::Executing => Tone::Running,
        JobState::Retryable => Tone::Retry,
        JobState::Discarded => Tone::Dead,
        JobState::Cancelled => Tone::Cancelled,
        JobState::Pending => Tone::Paused,
        JobState::Scheduled | JobState::Available => Tone::Plain,
    }
}

impl JobRow {
    /// How long its run took, or takes.
    fn ran(&self, now: Timestamp) -> Option<std::time::Duration> {
        let JobSummary { started_at, finished_at, state, .. } = &self.summary;
        let until = if *state == JobState::Executing { now } else { (*finished_at)? };
        Some(until.saturating_since((*started_at)?))
    }
}

impl Fields for JobRow {
    fn field(&self, name: &str, now: Timestamp) -> Field<'_> {
        let job = &self.summary;
        match name {
            "id" => Field::Text(job.id.to_string().into()),
            "queue" => Field::Text(job.queue.as_str().into()),
            "type" | "worker" => Field::Text(job.job_type.as_str().into()),
            "state" => Field::Text(job.state.as_str().into()),
            "tag" => Field::Texts(&job.tags),
            "key" => maybe(job.partition_key.as_deref()),
            "cause" => maybe(job.cause.as_deref()),
            "error" => maybe(job.last_error.as_deref()),
            "attempt" => Field::Number(f64::from(job.attempt)),
            "max" => Field::Number(f64::from(job.max_attempts)),
            "priority" => Field::Number(f64::from(job.priority)),
            "age" => seconds_since(job.created_at, now),
            "ran" => self.ran(now).map_or(Field::Missing, |ran| Field::Number(ran.as_secs_f64())),
            name => match (name.strip_prefix("args."), &self.payload) {
                (Some(_), None) => Field::Unknown,
                (Some(path), Some(payload)) => argument(payload, path),
                (None, _) => Field::Missing,
            },
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        let job = &self.summary;
        let mut id = Uuid::encode_buffer();
        fits(&job.job_type)
            || fits(&job.queue)
            || fits(job.state.as_str())
            || fits(job.id.hyphenated().encode_lower(&mut id))
            || job.tags.iter().any(|tag| fits(tag))
            || job.partition_key.as_deref().is_some_and(&mut *fits)
            || job.last_error.as_deref().is_some_and(&mut *fits)
    }
}

/// What stands in a payload at `user.id`.
fn argument<'p>(payload: &'p Map<String, Value>, path: &str) -> Field<'p> {
    let mut parts = path.split('.');
    let first = parts.next().and_then(|name| payload.get(name));
    let found = parts.try_fold(first, |at, name| {
        let at = at?;
        let inner = at.get(name).or_else(|| name.parse::<usize>().ok().and_then(|place| at.get(place)));
        Some(inner)
    });
    match found.flatten() {
        None | Some(Value::Null) => Field::Missing,
        Some(Value::String(text)) => Field::Text(text.as_str().into()),
        Some(Value::Number(number)) => Field::Text(number.to_string().into()),
        Some(other) => Field::Text(other.to_string().into()),
    }
}

impl Row for JobRow {
    type Key = Uuid;

    const COLUMNS: &'static [Column] = &[
        Column::new("ID", 13),
        Column::new("STATE", 10),
        Column::new("TYPE", 12).grows(1),
        Column::new("QUEUE", 8).grows(1),
        Column::new("TRY", 5).right(),
        Column::new("AGE", 5).right(),
        Column::new("RAN", 7).right().from(100),
        Column::new("PRIO", 5).right().from(120),
        Column::new("TAGS", 12).grows(1).from(120),
        Column::new("SAYS", 6).grows(8),
    ];

    const FIELDS: &'static [&'static str] = &[
        "id", "queue", "state", "type", "worker", "tag", "key", "cause", "error", "attempt", "max",
        "priority", "age", "ran", "args.",
    ];

    fn key(&self) -> Uuid {
        self.summary.id
    }

    fn cell(&self, column: usize, now: Timestamp) -> Cell {
        let job = &self.summary;
        match column {
            // The last part of an id of version 7 is what tells neighbours apart; the first is their time.
            0 => {
                let id = job.id.simple().to_string();
                format!("{}~{}", &id[..4], &id[24..]).into()
            }
            1 => Cell::new(job.state.as_str(), state_tone(job.state)),
            2 => format::clean(&job.job_type).into(),
            3 => format::clean(&job.queue).into(),
            4 => format!("{}/{}", job.attempt, job.max_attempts).into(),
            5 => format::age(job.created_at, now).into(),
            6 => self.ran(now).map(format::span).unwrap_or_default().into(),
            7 => job.priority.to_string().into(),
            8 => format::clean(&job.tags.join(" ")).into(),
            _ => match (&job.wait_reason, &job.last_error) {
                (Some(reason), _) => Cell::new(format::first_line(reason), Tone::Paused),
                (None, Some(error)) if job.state == JobState::Discarded => {
                    Cell::new(format::first_line(error), Tone::Dead)
                }
                (None, Some(error)) => Cell::new(format::first_line(error), Tone::Retry),
                (None, None) => Cell::default(),
            },
        }
    }

    fn rank(&self) -> Option<(i64, u128)> {
        Some((self.summary.created_at.as_micros(), self.summary.id.as_u128()))
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let job = &self.summary;
        match column {
            // Ids of version 7 begin with their time.
            0 => SortKey::Number((job.id.as_u128() >> 65) as i64),
            1 => SortKey::Number(job.state as i64),
            2 => SortKey::Text(job.job_type.as_str().into()),
            3 => SortKey::Text(job.queue.as_str().into()),
            4 => SortKey::Number(job.attempt.into()),
            5 => SortKey::Number(job.created_at.as_micros().saturating_neg()),
            6 => {
                let end = job.finished_at.unwrap_or(Timestamp::MAX);
                SortKey::Number(
                    job.started_at.map_or(0, |start| end.saturating_since(start).as_micros() as i64),
                )
            }
            7 => SortKey::Number(job.priority.into()),
            8 => SortKey::Text(job.tags.first().map_or("", String::as_str).into()),
            _ => SortKey::Text(job.last_error.as_deref().unwrap_or("").into()),
        }
    }
}
