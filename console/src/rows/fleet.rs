//! Nodes and edges.

use callboard_contracts::{
    Timestamp,
    api::{EdgeCondition, EdgeView, NodeState, NodeView},
};

use super::{maybe, seconds_since};
use crate::{
    filter::{Field, Fields},
    format,
    table::{Cell, Column, Row, SortKey, Tone},
};

/// A node of the fleet.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRow(pub NodeView);

impl Fields for NodeRow {
    fn field(&self, name: &str, now: Timestamp) -> Field<'_> {
        let node = &self.0;
        match name {
            "name" | "node" => Field::Text(node.name.as_str().into()),
            "state" => Field::Text(node.state.as_str().into()),
            "role" => Field::Texts(&node.roles),
            "version" => Field::Text(node.version.as_str().into()),
            "running" => Field::Number(node.running as f64),
            "age" => seconds_since(node.since, now),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(&self.0.name) || fits(self.0.state.as_str()) || self.0.roles.iter().any(|role| fits(role))
    }
}

impl Row for NodeRow {
    type Key = String;

    const COLUMNS: &'static [Column] = &[
        Column::new("NODE", 16).grows(3),
        Column::new("STATE", 9),
        Column::new("LEADS", 5),
        Column::new("RUN", 9).right(),
        Column::new("SEEN", 5).right(),
        Column::new("UP", 5).right(),
        Column::new("VERSION", 9),
        Column::new("ROLES", 10).grows(2).from(100),
        Column::new("QUEUES", 10).grows(2).from(120),
        Column::new("LABELS", 8).grows(1).from(140),
    ];

    const FIELDS: &'static [&'static str] = &["name", "node", "state", "role", "version", "running", "age"];

    fn key(&self) -> String {
        self.0.name.clone()
    }

    fn cell(&self, column: usize, now: Timestamp) -> Cell {
        let node = &self.0;
        match column {
            0 => format::clean(&node.name).into(),
            1 => {
                let tone = match node.state {
                    NodeState::Ready => Tone::Done,
                    NodeState::Paused => Tone::Paused,
                    NodeState::Draining => Tone::Running,
                    NodeState::TooOld => Tone::Retry,
                    NodeState::Silent => Tone::Dead,
                };
                Cell::new(node.state.as_str(), tone)
            }
            2 => if node.leads { "leads" } else { "" }.into(),
            3 => format!("{}/{}", node.running, node.capacity).into(),
            4 => format::age(node.last_seen, now).into(),
            5 => format::age(node.since, now).into(),
            6 => format::clean(&node.version).into(),
            7 => node.roles.join(" ").into(),
            8 => node.queues.iter().map(|queue| queue.name.as_str()).collect::<Vec<_>>().join(" ").into(),
            _ => node.labels.to_string().into(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let node = &self.0;
        match column {
            0 => SortKey::Text(node.name.as_str().into()),
            1 => SortKey::Text(node.state.as_str().into()),
            2 => SortKey::Number((!node.leads).into()),
            3 => SortKey::Number(i64::try_from(node.running).unwrap_or(i64::MAX)),
            4 => SortKey::Number(node.last_seen.as_micros()),
            5 => SortKey::Number(node.since.as_micros()),
            6 => SortKey::Text(node.version.as_str().into()),
            7 => SortKey::Text(node.roles.join(" ").into()),
            8 => SortKey::Number(i64::try_from(node.queues.len()).unwrap_or(i64::MAX)),
            _ => SortKey::Text(node.labels.to_string().into()),
        }
    }
}

/// A service outside that jobs need.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeRow(pub EdgeView);

impl Fields for EdgeRow {
    fn field(&self, name: &str, now: Timestamp) -> Field<'_> {
        let edge = &self.0;
        match name {
            "name" | "edge" => Field::Text(edge.name.as_str().into()),
            "state" => Field::Text(edge.state.as_str().into()),
            "type" | "worker" => Field::Texts(&edge.needed_by),
            "reason" => maybe(edge.reason.as_deref()),
            "parked" => Field::Number(edge.parked as f64),
            "age" => edge.since.map_or(Field::Missing, |since| seconds_since(since, now)),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        let EdgeView { name, state, reason, needed_by, .. } = &self.0;
        fits(name)
            || fits(state.as_str())
            || reason.as_deref().is_some_and(&mut *fits)
            || needed_by.iter().any(|job_type| fits(job_type))
    }
}

impl Row for EdgeRow {
    type Key = String;

    const COLUMNS: &'static [Column] = &[
        Column::new("EDGE", 14).grows(2),
        Column::new("STATE", 8),
        Column::new("SINCE", 6).right(),
        Column::new("UNTIL", 7).right(),
        Column::new("PARKED", 7).right(),
        Column::new("NEEDED BY", 12).grows(2),
        Column::new("WHY", 12).grows(3),
        Column::new("SET BY", 10).from(110),
    ];

    const FIELDS: &'static [&'static str] =
        &["name", "edge", "state", "type", "worker", "reason", "parked", "age"];

    fn key(&self) -> String {
        self.0.name.clone()
    }

    fn cell(&self, column: usize, now: Timestamp) -> Cell {
        let edge = &self.0;
        match column {
            0 => format::clean(&edge.name).into(),
            1 => {
                let tone = if edge.state == EdgeCondition::Ready { Tone::Done } else { Tone::Dead };
                Cell::new(edge.state.as_str(), tone)
            }
            2 => edge.since.map(|at| format::age(at, now)).unwrap_or_default().into(),
            3 => edge.until.map(|at| format::age(at, now)).unwrap_or_default().into(),
            4 => format::count(edge.parked).into(),
            5 => format::clean(&edge.needed_by.join(" ")).into(),
            6 => format::first_line(edge.reason.as_deref().unwrap_or("")).into(),
            _ => format::first_line(edge.set_by.as_deref().unwrap_or("")).into(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        let edge = &self.0;
        match column {
            0 => SortKey::Text(edge.name.as_str().into()),
            1 => SortKey::Text(edge.state.as_str().into()),
            2 => SortKey::Number(edge.since.map_or(0, Timestamp::as_micros)),
            3 => SortKey::Number(edge.until.map_or(i64::MAX, Timestamp::as_micros)),
            4 => SortKey::Number(i64::try_from(edge.parked).unwrap_or(i64::MAX)),
            5 => SortKey::Text(edge.needed_by.join(" ").into()),
            6 => SortKey::Text(edge.reason.as_deref().unwrap_or("").into()),
            _ => SortKey::Text(edge.set_by.as_deref().unwrap_or("").into()),
        }
    }
}
