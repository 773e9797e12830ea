//! Queues, the causes of dead jobs, and the cron table.

use std::time::Duration;

use callboard_contracts::{
    Timestamp,
    api::{CronView, DeadCause, QueueView},
};

use super::{maybe, seconds_since};
use crate::{
    filter::{Field, Fields},
    format,
    table::{Cell, Column, Row, SortKey, Tone},
};

/// A queue, and what the console has seen of it.
#[derive(Clone, Debug, PartialEq)]
pub struct QueueRow {
    /// As the server has it.
    pub view: QueueView,
    /// Jobs that it ended in a second, as seen over the last seconds; none before it was seen twice.
    pub throughput: Option<f64>,
    /// Whether somebody here has asked that it be drained.
    pub draining: bool,
}

impl QueueRow {
    /// Jobs that it has ended, ever.
    pub fn ended(view: &QueueView) -> u64 {
        view.completed + view.cancelled + view.discarded
    }

    /// How it is, in words.
    pub fn condition(&self) -> (String, Tone) {
        match (self.view.paused_at, self.draining, self.view.executing) {
            (Some(_), true, 0) => ("drained".to_owned(), Tone::Paused),
            (Some(_), true, running) => {
                (format!("draining ({} run{})", running, if running == 1 { "s" } else { "" }), Tone::Running)
            }
            (Some(_), false, _) => ("paused".to_owned(), Tone::Paused),
            (None, ..) if self.view.concurrency == 0 => ("not served".to_owned(), Tone::Retry),
            (None, ..) => ("open".to_owned(), Tone::Done),
        }
    }

    fn oldest(&self, now: Timestamp) -> Option<Duration> {
        self.view.oldest_available_at.map(|at| now.saturating_since(at))
    }
}

impl Fields for QueueRow {
    fn field(&self, name: &str, now: Timestamp) -> Field<'_> {
        let view = &self.view;
        match name {
            "queue" | "name" => Field::Text(view.name.as_str().into()),
            "state" => Field::Text(self.condition().0.into()),
            "available" => Field::Number(view.available as f64),
            "executing" => Field::Number(view.executing as f64),
            "retryable" => Field::Number(view.retryable as f64),
            "discarded" => Field::Number(view.discarded as f64),
            "age" => view.oldest_available_at.map_or(Field::Missing, |at| seconds_since(at, now)),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(&self.view.name) || fits(&self.condition().0)
    }
}

impl Row for QueueRow {
    type Key = String;

    const COLUMNS: &'static [Column] = &[
        Column::new("QUEUE", 12).grows(3),
        Column::new("STATE", 17),
        Column::new("AVAIL", 7).right(),
        Column::new("RUN", 5).right(),
        Column::new("CONC", 5).right(),
        Column::new("RETRY", 6).right(),
        Column::new("OLDEST", 6).right(),
        Column::new("ENDS/S", 7).right(),
        Column::new("PENDING", 8).right().from(100),
        Column::new("SCHED", 7).right().from(100),
        Column::new("DONE", 10).right().from(110),
        Column::new("DEAD", 8).right().from(90),
        Column::new("LIMITS", 14).grows(2).from(130),
    ];

    const FIELDS: &'static [&'static str] =
        &["queue", "name", "state", "available", "executing", "retryable", "discarded", "age"];

    fn key(&self) -> String {
        self.view.name.clone()
    }

    fn cell(&self, column: usize, now: Timestamp) -> Cell {
        let view = &self.view;
        let some =
            |number: u64, tone| Cell::new(format::count(number), if number > 0 { tone } else { Tone::Plain });
        match column {
            0 => format::clean(&view.name).into(),
            1 => {
                let (text, tone) = self.condition();
                Cell::new(text, tone)
            }
            2 => format::count(view.available).into(),
            3 => some(view.executing, Tone::Running),
            4 => view.concurrency.to_string().into(),
            5 => some(view.retryable, Tone::Retry),
            6 => self.oldest(now).map(format::span).unwrap_or_default().into(),
            7 => self.throughput.map(format::rate).unwrap_or_default().into(),
            8 => format::count(view.pending).into(),
            9 => format::count(view.scheduled).into(),
            10 => format::count(view.completed).into(),
            11 => some(view.discarded, Tone::Dead),
            _ => {
                let parts = [
                    view.max_running.map(|most| format!("run {most}")),
                    view.max_running_per_key.map(|most| format!("run/key {most}")),
                    view.rate.map(|rate| format!("rate {rate}")),
                    view.rate_per_key.map(|rate| format!("rate/key {rate}")),
                ];
                parts.into_iter().flatten().collect::<Vec<_>>().join(", ").into()
            }
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let view = &self.view;
        let number = |number: u64| SortKey::Number(i64::try_from(number).unwrap_or(i64::MAX));
        match column {
            0 => SortKey::Text(view.name.as_str().into()),
            1 => SortKey::Text(self.condition().0.into()),
            2 => number(view.available),
            3 => number(view.executing),
            4 => number(view.concurrency.into()),
            5 => number(view.retryable),
            6 => SortKey::Number(view.oldest_available_at.map_or(i64::MAX, Timestamp::as_micros)),
            7 => SortKey::Number(self.throughput.map_or(-1, |rate| (rate * 1000.0) as i64)),
            8 => number(view.pending),
            9 => number(view.scheduled),
            10 => number(view.completed),
            11 => number(view.discarded),
            _ => SortKey::Number(view.max_running.map_or(i64::MAX, i64::from)),
        }
    }
}

/// Dead jobs of one cause.
#[derive(Clone, Debug, PartialEq)]
pub struct CauseRow(pub DeadCause);

impl Fields for CauseRow {
    fn field(&self, name: &str, now: Timestamp) -> Field<'_> {
        match name {
            "cause" => Field::Text(self.0.cause.as_str().into()),
            "type" | "worker" => Field::Text(self.0.job_type.as_str().into()),
            "queue" => Field::Text(self.0.queue.as_str().into()),
            "count" => Field::Number(self.0.count as f64),
            "age" => seconds_since(self.0.last_at, now),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        let DeadCause { cause, title, job_type, queue, .. } = &self.0;
        [cause, title, job_type, queue].into_iter().any(|text| fits(text))
    }
}

impl Row for CauseRow {
    type Key = (String, String, String);

    const COLUMNS: &'static [Column] = &[
        Column::new("JOBS", 8).right(),
        Column::new("LAST", 5).right(),
        Column::new("FIRST", 5).right().from(100),
        Column::new("TYPE", 12).grows(1),
        Column::new("QUEUE", 9).grows(1),
        Column::new("KIND", 9),
        Column::new("CAUSE", 16).grows(5),
    ];

    const FIELDS: &'static [&'static str] = &["cause", "type", "worker", "queue", "count", "age"];

    fn key(&self) -> Self::Key {
        (self.0.job_type.clone(), self.0.queue.clone(), self.0.cause.clone())
    }

    fn cell(&self, column: usize, now: Timestamp) -> Cell {
        let cause = &self.0;
        match column {
            0 => {
                let more = if cause.at_least { "+" } else { "" };
                Cell::new(format!("{}{more}", format::count(cause.count)), Tone::Dead)
            }
            1 => format::age(cause.last_at, now).into(),
            2 => format::age(cause.first_at, now).into(),
            3 => format::clean(&cause.job_type).into(),
            4 => format::clean(&cause.queue).into(),
            5 => format!("{:?}", cause.kind).to_lowercase().into(),
            _ => format::first_line(&cause.title).into(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let cause = &self.0;
        match column {
            0 => SortKey::Number(i64::try_from(cause.count).unwrap_or(i64::MAX)),
            1 => SortKey::Number(cause.last_at.as_micros()),
            2 => SortKey::Number(cause.first_at.as_micros()),
            3 => SortKey::Text(cause.job_type.as_str().into()),
            4 => SortKey::Text(cause.queue.as_str().into()),
            5 => SortKey::Number(cause.kind as i64),
            _ => SortKey::Text(cause.title.as_str().into()),
        }
    }
}

/// An entry of the cron table.
#[derive(Clone, Debug, PartialEq)]
pub struct CronRow(pub CronView);

impl Fields for CronRow {
    fn field(&self, name: &str, _: Timestamp) -> Field<'_> {
        let cron = &self.0;
        match name {
            "name" => Field::Text(cron.name.as_str().into()),
            "type" | "worker" => Field::Text(cron.definition.job.job_type.as_str().into()),
            "queue" => maybe(cron.definition.job.queue.as_deref()),
            "state" => Field::Text(if cron.paused_at.is_some() { "paused" } else { "waiting" }.into()),
            "fired" => Field::Number(cron.fired as f64),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        let CronView { name, definition, description, .. } = &self.0;
        [name, &definition.job.job_type, &definition.expression, description]
            .into_iter()
            .any(|text| fits(text))
    }
}

impl Row for CronRow {
    type Key = String;

    const COLUMNS: &'static [Column] = &[
        Column::new("NAME", 12).grows(2),
        Column::new("STATE", 8),
        Column::new("NEXT", 8).right(),
        Column::new("WHEN", 16).grows(3),
        Column::new("TYPE", 10).grows(1),
        Column::new("FIRED", 7).right(),
        Column::new("SKIPPED", 8).right().from(100),
        Column::new("MISSED", 7).right().from(100),
        Column::new("LAST", 10).from(110),
    ];

    const FIELDS: &'static [&'static str] = &["name", "type", "worker", "queue", "state", "fired"];

    fn key(&self) -> String {
        self.0.name.clone()
    }

    fn cell(&self, column: usize, now: Timestamp) -> Cell {
        let cron = &self.0;
        match column {
            0 => format::clean(&cron.name).into(),
            1 if cron.paused_at.is_some() => Cell::new("paused", Tone::Paused),
            1 => Cell::new("waiting", Tone::Done),
            2 => cron.fires_at.map(|at| format::age(at, now)).unwrap_or_default().into(),
            3 => format::clean(&cron.description).into(),
            4 => format::clean(&cron.definition.job.job_type).into(),
            5 => format::count(cron.fired).into(),
            6 => format::count(cron.skipped).into(),
            7 => format::count(cron.missed).into(),
            _ => cron.firings.first().map_or(Cell::default(), |firing| firing.result.as_str().into()),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let cron = &self.0;
        let number = |number: u64| SortKey::Number(i64::try_from(number).unwrap_or(i64::MAX));
        match column {
            0 => SortKey::Text(cron.name.as_str().into()),
            1 => SortKey::Number(cron.paused_at.is_some().into()),
            2 => SortKey::Number(cron.fires_at.map_or(i64::MAX, Timestamp::as_micros)),
            3 => SortKey::Text(cron.description.as_str().into()),
            4 => SortKey::Text(cron.definition.job.job_type.as_str().into()),
            5 => number(cron.fired),
            6 => number(cron.skipped),
            7 => number(cron.missed),
            _ => SortKey::Number(cron.firings.first().map_or(0, |firing| firing.at.as_micros())),
        }
    }
}
