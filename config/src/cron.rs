//! Entries of the cron table.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::choice::{Backfill, Overlap};
use crate::document::{Node, Value};
use crate::key::{Key, shortened};
use crate::layers::is_queue_name;
use crate::table::Table;
use crate::value::{Fault, Setting, typed};

/// `cron.entries`: tables by their names, `[cron.entries.NAME]`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CronEntries(pub BTreeMap<String, CronEntrySettings>);

/// One of `cron.entries`: when a job is stored, and what job.
#[derive(Clone, Debug, PartialEq)]
pub struct CronEntrySettings {
    /// When: a cron expression of five fields, or of six with seconds before them.
    pub expression: String,
    /// The IANA name of the time zone that it is read in. Default: `UTC`.
    pub time_zone: String,
    /// The job's type.
    pub job_type: String,
    /// What the job is about. Default: nothing.
    pub payload: JsonTable,
    /// Its queue; none: that of its type.
    pub queue: Option<String>,
    /// Attempts that it may take; none: those of its type.
    pub max_attempts: Option<u32>,
    /// Time that an attempt may take; none: that of its type.
    pub timeout: Option<Duration>,
    /// Its priority. Default: 0.
    pub priority: i16,
    /// Words by which it is found.
    pub tags: Vec<String>,
    /// Whom or what it is for.
    pub partition_key: Option<String>,
    /// What else is to be kept with it.
    pub metadata: Option<JsonTable>,
    /// By how much a job is stored later than its time at most. Default: `0s`.
    pub jitter: Duration,
    /// What happens while the job of the time before has not ended. Default: `allow`.
    pub overlap: Overlap,
    /// What happens about times that were missed. Default: `last`.
    pub backfill: Backfill,
    /// Missed times for which `all` stores jobs. Default: 100.
    pub backfill_most: u32,
    /// How old missed times may be for which `all` stores jobs. Default: `1d`.
    pub backfill_within: Duration,
}

/// A table that is passed on as JSON.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JsonTable(pub Map<String, Json>);

/// The keys of a table.
const KEYS: [&str; 16] = [
    "expression",
    "time_zone",
    "type",
    "payload",
    "queue",
    "max_attempts",
    "timeout",
    "priority",
    "tags",
    "partition_key",
    "metadata",
    "jitter",
    "overlap",
    "backfill",
    "backfill_most",
    "backfill_within",
];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Setting for CronEntries {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        let table = typed(node);
        let Value::Table(members) = &table.value else {
            let expected = "expected tables of entries by their names, such as [cron.entries.nightly]";
            return Err(Fault::new(format!("{expected}, found {}", table.value.type_name()), node).into());
        };
        let (mut entries, mut faults) = (BTreeMap::new(), Vec::new());
        for member in members {
            if !is_queue_name(&member.key) {
                let name = shortened(&member.key);
                let rule = "a name is 1 to 50 of the letters a to z and A to Z, digits, `-`, `_` and `.`";
                faults.push(Fault {
                    message: format!("`{name}` is no name for an entry"),
                    help: Some(rule.to_owned()),
                    span: member.key_span.clone(),
                });
                continue;
            }
            match CronEntrySettings::read(&member.node) {
                Ok(entry) => drop(entries.insert(member.key.clone(), entry)),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(Self(entries)) } else { Err(faults) }
    }

    fn render(&self) -> String {
        let entry = |(name, entry): (&String, &CronEntrySettings)| {
            format!("{} = {}", Key(vec![name.clone()]), entry.render())
        };
        table(self.0.iter().map(entry))
    }
}

impl Setting for CronEntrySettings {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        Table::read(node, "an entry", &KEYS, |table| {
            let (expression, job_type) = (table.part("expression"), table.part("type"));
            let time_zone = table.or("time_zone", "UTC".to_owned());
            let (payload, metadata) = (table.optional("payload"), table.optional("metadata"));
            let (queue, max_attempts) = (table.optional("queue"), table.optional("max_attempts"));
            let (timeout, priority) = (table.optional("timeout"), table.optional("priority"));
            let (tags, partition_key) = (table.optional("tags"), table.optional("partition_key"));
            let (jitter, overlap) = (table.optional("jitter"), table.or("overlap", Overlap::Allow));
            let backfill = table.or("backfill", Backfill::Last);
            let (most, within) = (table.or("backfill_most", 100), table.or("backfill_within", DAY));
            Some(Self {
                expression: expression?,
                time_zone: time_zone?,
                job_type: job_type?,
                payload: payload?,
                queue: queue?,
                max_attempts: max_attempts?,
                timeout: timeout?,
                priority: priority?,
                tags: tags?,
                partition_key: partition_key?,
                metadata: metadata?,
                jitter: jitter?,
                overlap: overlap?,
                backfill: backfill?,
                backfill_most: most?,
                backfill_within: within?,
            })
        })
    }

    fn render(&self) -> String {
        let Self { expression, time_zone, job_type, payload, queue, max_attempts, timeout, .. } = self;
        let all = [
            ("expression", expression.render()),
            ("time_zone", time_zone.render()),
            ("type", job_type.render()),
            ("payload", payload.render()),
            ("queue", queue.render()),
            ("max_attempts", max_attempts.render()),
            ("timeout", timeout.render()),
            ("priority", self.priority.render()),
            ("tags", self.tags.render()),
            ("partition_key", self.partition_key.render()),
            ("metadata", self.metadata.render()),
            ("jitter", self.jitter.render()),
            ("overlap", self.overlap.render()),
            ("backfill", self.backfill.render()),
            ("backfill_most", self.backfill_most.render()),
            ("backfill_within", self.backfill_within.render()),
        ];
        table(all.into_iter().map(|(key, value)| format!("{key} = {value}")))
    }
}

impl Setting for JsonTable {
    fn read(node: &Node) -> Result<Self, Vec<Fault>> {
        match json(&typed(node))? {
            Json::Object(object) => Ok(Self(object)),
            _ => {
                let found = typed(node).value.type_name();
                Err(Fault::new(format!("expected a table, found {found}"), node).into())
            }
        }
    }

    fn render(&self) -> String {
        toml(&Json::Object(self.0.clone()))
    }
}

fn json(node: &Node) -> Result<Json, Vec<Fault>> {
    Ok(match &node.value {
        Value::Untyped(text) | Value::String(text) => Json::from(text.as_str()),
        Value::Integer(number) => match i64::try_from(*number) {
            Ok(number) => Json::from(number),
            Err(_) => return Err(Fault::new("a number of a payload has 64 bits at most", node).into()),
        },
        Value::Float(number) => serde_json::Number::from_f64(*number)
            .map(Json::Number)
            .ok_or_else(|| Fault::new("a number of a payload is finite", node))?,
        Value::Boolean(value) => Json::from(*value),
        Value::Datetime => {
            return Err(Fault::new("JSON has no times: write this one as a string", node).into());
        }
        Value::Array(items) => Json::Array(items.iter().map(json).collect::<Result<_, _>>()?),
        Value::Table(members) => {
            let members = members.iter().map(|member| Ok((member.key.clone(), json(&member.node)?)));
            Json::Object(members.collect::<Result<_, Vec<Fault>>>()?)
        }
        Value::Made(_) => return Err(Fault::new("expected a table", node).into()),
    })
}

/// As TOML, which has no null: none is in what was read from it, and one that a program has made is shown as a string.
fn toml(value: &Json) -> String {
    match value {
        Json::Null => "\"null\"".to_owned(),
        Json::String(text) => crate::key::quoted(text),
        Json::Array(items) => format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Json::Object(object) => {
            let member =
                |(key, value): (&String, &Json)| format!("{} = {}", Key(vec![key.clone()]), toml(value));
            table(object.iter().map(member))
        }
        other => other.to_string(),
    }
}

fn table(members: impl Iterator<Item = String>) -> String {
    let members: Vec<String> = members.collect();
    if members.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", members.join(", ")) }
}
