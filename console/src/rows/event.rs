//! Events of the log.

use callboard_contracts::{EventType, Timestamp, api::EventRecord};
use serde_json::Value;
use uuid::Uuid;

use super::{maybe, seconds_since};
use crate::{
    filter::{Field, Fields},
    format,
    table::{Cell, Column, Row, SortKey, Tone},
};

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventRow(pub EventRecord);

impl EventRow {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.event.payload.get(name).and_then(Value::as_str)
    }

    /// The job that it is about.
    pub fn job(&self) -> Option<Uuid> {
        self.text("id")?.parse().ok()
    }

    fn says(&self) -> String {
        let payload = &self.0.event.payload;
        let value = payload.get("error").or_else(|| payload.get("result"));
        match value {
            Some(Value::String(text)) => format::first_line(text),
            Some(Value::Object(object)) => {
                object.get("message").and_then(Value::as_str).map_or(String::new(), format::first_line)
            }
            _ => String::new(),
        }
    }
}

impl Fields for EventRow {
    fn field(&self, name: &str, now: Timestamp) -> Field<'_> {
        match name {
            "event" => Field::Text(self.0.event.event_type.as_str().into()),
            "id" => maybe(self.text("id")),
            "type" | "worker" => maybe(self.text("type")),
            "queue" => Field::Text(self.0.queue.as_str().into()),
            "node" => Field::Text(self.0.event.producer.instance_id.as_str().into()),
            "age" => seconds_since(self.0.event.occurred_at, now),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(self.0.event.event_type.as_str())
            || fits(&self.0.queue)
            || self.text("type").is_some_and(&mut *fits)
            || self.text("id").is_some_and(&mut *fits)
    }
}

impl Row for EventRow {
    type Key = String;

    const COLUMNS: &'static [Column] = &[
        Column::new("TIME", 12),
        Column::new("EVENT", 20),
        Column::new("TYPE", 10).grows(2),
        Column::new("QUEUE", 9).grows(1),
        Column::new("JOB", 13),
        Column::new("NODE", 12).grows(1).from(110),
        Column::new("CURSOR", 12).from(130),
        Column::new("SAYS", 4).grows(3),
    ];

    const FIELDS: &'static [&'static str] = &["event", "id", "type", "worker", "queue", "node", "age"];

    fn key(&self) -> String {
        self.0.cursor.clone()
    }

    fn cell(&self, column: usize, _: Timestamp) -> Cell {
        match column {
            0 => format::time_of_day(self.0.event.occurred_at).into(),
            1 => {
                let event = self.0.event.event_type;
                let tone = match event {
                    EventType::Completed => Tone::Done,
                    EventType::Failed => Tone::Dead,
                    EventType::AttemptFailed | EventType::Quarantined => Tone::Retry,
                    EventType::Executed | EventType::AttemptStarted | EventType::Progressed => Tone::Running,
                    EventType::CancelRequested => Tone::Cancelled,
                    _ => Tone::Plain,
                };
                Cell::new(event.as_str(), tone)
            }
            2 => format::first_line(self.text("type").unwrap_or("")).into(),
            3 => format::clean(&self.0.queue).into(),
            4 => self.job().map_or(Cell::default(), |id| {
                let id = id.simple().to_string();
                format!("{}~{}", &id[..4], &id[24..]).into()
            }),
            5 => format::clean(&self.0.event.producer.instance_id).into(),
            6 => self.0.cursor.as_str().into(),
            _ => self.says().into(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        match column {
            1 => SortKey::Text(self.0.event.event_type.as_str().into()),
            2 => SortKey::Text(self.text("type").unwrap_or("").into()),
            3 => SortKey::Text(self.0.queue.as_str().into()),
            4 => SortKey::Text(self.text("id").unwrap_or("").into()),
            5 => SortKey::Text(self.0.event.producer.instance_id.as_str().into()),
            _ => SortKey::Number(self.0.event.occurred_at.as_micros()),
        }
    }
}
