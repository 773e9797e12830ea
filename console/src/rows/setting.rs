//! Settings, and what the doctor has found.

use callboard_contracts::{Timestamp, api::SettingView};

use crate::{
    doctor::{Check, Verdict},
    filter::{Field, Fields},
    format,
    table::{Cell, Column, Row, SortKey, Tone},
};

/// A setting of the node that is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingRow {
    /// As the node has it.
    pub view: SettingView,
    /// What it is to be after a restart.
    pub waits: Option<String>,
}

impl Fields for SettingRow {
    fn field(&self, name: &str, _: Timestamp) -> Field<'_> {
        match name {
            "key" => Field::Text(self.view.key.as_str().into()),
            "value" => Field::Text(self.view.value.as_str().into()),
            "source" => Field::Text(self.view.source.as_str().into()),
            "live" => Field::Text(if self.view.live { "yes" } else { "no" }.into()),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(&self.view.key) || fits(&self.view.value) || fits(&self.view.source)
    }
}

impl Row for SettingRow {
    type Key = String;

    const COLUMNS: &'static [Column] = &[
        Column::new("KEY", 24).grows(2),
        Column::new("VALUE", 14).grows(2),
        Column::new("SOURCE", 12).grows(2),
        Column::new("CHANGES", 8),
        Column::new("WAITS FOR RESTART", 17).grows(1).from(120),
    ];

    const FIELDS: &'static [&'static str] = &["key", "value", "source", "live"];

    fn key(&self) -> String {
        self.view.key.clone()
    }

    fn cell(&self, column: usize, _: Timestamp) -> Cell {
        match column {
            0 => format::clean(&self.view.key).into(),
            1 => format::clean(&self.view.value).into(),
            2 if self.view.source == "default" => Cell::new("default", Tone::Cancelled),
            2 => format::clean(&self.view.source).into(),
            3 => if self.view.live { "live" } else { "restart" }.into(),
            _ => self
                .waits
                .as_deref()
                .map_or(Cell::default(), |waits| Cell::new(format::first_line(waits), Tone::Retry)),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        match column {
            1 => SortKey::Text(self.view.value.as_str().into()),
            2 => SortKey::Text(self.view.source.as_str().into()),
            3 => SortKey::Number((!self.view.live).into()),
            4 => SortKey::Number(self.waits.is_none().into()),
            _ => SortKey::Text(self.view.key.as_str().into()),
        }
    }
}

/// What the doctor has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckRow(pub Check);

impl Fields for CheckRow {
    fn field(&self, name: &str, _: Timestamp) -> Field<'_> {
        match name {
            "check" => Field::Text(self.0.name.into()),
            "state" => Field::Text(self.0.verdict.as_str().into()),
            _ => Field::Missing,
        }
    }

    fn any_text(&self, fits: &mut dyn FnMut(&str) -> bool) -> bool {
        fits(self.0.name) || fits(&self.0.found) || self.0.remedy.as_deref().is_some_and(&mut *fits)
    }
}

impl Row for CheckRow {
    type Key = &'static str;

    const COLUMNS: &'static [Column] = &[
        Column::new("CHECK", 14),
        Column::new("STATE", 7),
        Column::new("FOUND", 20).grows(1),
        Column::new("REMEDY", 16).grows(1),
    ];

    const FIELDS: &'static [&'static str] = &["check", "state"];

    fn key(&self) -> &'static str {
        self.0.name
    }

    fn cell(&self, column: usize, _: Timestamp) -> Cell {
        match column {
            0 => self.0.name.into(),
            1 => {
                let tone = match self.0.verdict {
                    Verdict::Good => Tone::Done,
                    Verdict::Doubtful => Tone::Retry,
                    Verdict::Bad => Tone::Dead,
                };
                Cell::new(self.0.verdict.as_str(), tone)
            }
            2 => format::first_line(&self.0.found).into(),
            _ => self.0.remedy.as_deref().map(format::first_line).unwrap_or_default().into(),
        }
    }

    fn sort_key(&self, column: usize) -> SortKey<'_> {
        match column {
            1 => SortKey::Number(self.0.verdict as i64),
            2 => SortKey::Text(self.0.found.as_str().into()),
            3 => SortKey::Text(self.0.remedy.as_deref().unwrap_or("").into()),
            _ => SortKey::Text(self.0.name.into()),
        }
    }
}
