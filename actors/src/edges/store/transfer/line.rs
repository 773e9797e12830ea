//! The lines of an export.

use std::collections::BTreeSet;

use callboard_contracts::{
    EventType, JobState, Rate, Timestamp,
    api::{AttemptOutcome, LogLevel, QueuePause},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::workflow_line::WorkflowLine;
use crate::edges::store::cron::CronRecord;
use crate::edges::store::dead_jobs::BulkRecord;
use crate::edges::store::signals::SignalRecord;

/// The version of the format. A program reads its own and refuses others.
pub(crate) const FORMAT: u32 = 1;

/// One line. A field that this program does not know is an error: what it stands for would be lost.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Line {
    Export(Header),
    Setting(SettingLine),
    Queue(QueueLine),
    Edge(EdgeLine),
    Cron(Box<CronRecord>),
    Total(TotalLine),
    Key(KeyLine),
    Inbox(InboxLine),
    Edit(EditLine),
    Bulk(BulkLine),
    Job(Box<JobLine>),
    Report(Box<ReportLine>),
    Signal(Box<SignalLine>),
    Workflow(Box<WorkflowLine>),
    Event(Box<EventLine>),
    End(Counts),
}

/// What follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Header {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The version of the program that wrote it.
    pub(crate) program: String,
    pub(crate) backend: String,
    pub(crate) exported_at: Timestamp,
    pub(crate) epoch: u64,
    /// The newest event's.
    pub(crate) position: u64,
    /// The newest lease's.
    pub(crate) token: u64,
    /// The newest job's.
    pub(crate) sequence: u64,
    /// Whether the events are there.
    pub(crate) events: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SettingLine {
    pub(crate) key: String,
    /// JSON.
    pub(crate) value: Box<RawValue>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct QueueLine {
    pub(crate) name: String,
    pub(crate) concurrency: u32,
    pub(crate) max_backlog: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) max_running: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) max_running_per_key: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rate: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) rate_per_key: Option<Rate>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) paused_at: Option<Timestamp>,
    /// Why it is paused. How often it was let go on is counted anew.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) pause: Option<Box<QueuePause>>,
    pub(crate) updated_at: Timestamp,
}

/// An edge that somebody has tripped, now or before. Which jobs are put aside because of it is found out anew.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeLine {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) tripped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) until: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reason: Option<String>,
    pub(crate) set_by: String,
    pub(crate) set_at: Timestamp,
}

/// Jobs of a queue that have ever reached a final state.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TotalLine {
    pub(crate) queue: String,
    pub(crate) state: JobState,
    pub(crate) count: i64,
}

/// What was answered to a request with a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyLine {
    pub(crate) scope: String,
    pub(crate) key: String,
    #[serde(with = "hexadecimal")]
    pub(crate) fingerprint: Vec<u8>,
    pub(crate) answer: Box<RawValue>,
    pub(crate) created_at: Timestamp,
}

/// That an event of another program was dealt with.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InboxLine {
    pub(crate) event: Uuid,
    pub(crate) job: Uuid,
    pub(crate) producer: String,
    pub(crate) occurred_at: Timestamp,
    pub(crate) received_at: Timestamp,
}

/// What was changed when a finished job was run again.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EditLine {
    pub(crate) replay: Uuid,
    pub(crate) original: Uuid,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) patch: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) reason: Option<String>,
    pub(crate) by: String,
    pub(crate) at: Timestamp,
}

/// A bulk operation. One that is under way goes on where it is imported.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkLine {
    record: Box<RawValue>,
}

impl BulkLine {
    pub(crate) fn of(text: String) -> Result<Self, serde_json::Error> {
        Ok(BulkLine { record: raw(text)? })
    }

    /// The operation; the store's own form of it has room for what newer programs add, an import has not.
    pub(crate) fn read(&self) -> Result<BulkRecord, String> {
        let record: BulkRecord =
            serde_json::from_str(self.record.get()).map_err(|error| error.to_string())?;
        let known = serde_json::to_value(&record).map_err(|error| error.to_string())?;
        let given: serde_json::Value =
            serde_json::from_str(self.record.get()).map_err(|error| error.to_string())?;
        if known == given {
            Ok(record)
        } else {
            Err("a bulk operation has fields that are not known".to_owned())
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobLine {
    pub(crate) id: Uuid,
    pub(crate) sequence: u64,
    #[serde(rename = "type")]
    pub(crate) job_type: String,
    pub(crate) queue: String,
    pub(crate) state: JobState,
    #[serde(skip_serializing_if = "is_zero", default)]
    pub(crate) priority: i64,
    pub(crate) payload: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) metadata: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) document: Option<Box<RawValue>>,
    /// SHA-256, hexadecimal.
    #[serde(with = "hexadecimal")]
    pub(crate) fingerprint: Vec<u8>,
    /// `null` is a result, too: no result is no field.
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "present")]
    pub(crate) result: Option<Box<RawValue>>,
    pub(crate) attempt: u32,
    pub(crate) max_attempts: u32,
    pub(crate) timeout_us: u64,
    pub(crate) token: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) wait_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) last_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cause: Option<String>,
    pub(crate) correlation_id: Uuid,
    pub(crate) created_event_id: Uuid,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) replay_of: Option<Uuid>,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    pub(crate) scheduled_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) claimed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) started_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) finished_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) cancel_requested_at: Option<Timestamp>,
    pub(crate) claims: u32,
    pub(crate) was_started: bool,
    pub(crate) deaths: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) idempotency_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) partition_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) tags: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) trace_context: Option<String>,
    /// Names of edges.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) needs: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) place: Option<PlaceLine>,
    /// Those that have ended, oldest first.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) attempts: Vec<AttemptLine>,
}

/// That a job was the last to take the place of its kind.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlaceLine {
    /// SHA-256, hexadecimal.
    #[serde(with = "hexadecimal")]
    pub(crate) kind: Vec<u8>,
    pub(crate) states: BTreeSet<JobState>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) until: Option<Timestamp>,
}

/// What a run has said of itself. A line of its own, behind that of its job: the logs of a hundred runs can be long.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportLine {
    pub(crate) job: Uuid,
    pub(crate) token: u64,
    pub(crate) attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) progress: Option<ProgressLine>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) published: Option<PublishedLine>,
    /// Its log.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) lines: Vec<LogLine>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedLine {
    pub(crate) value: Box<RawValue>,
    pub(crate) at: Timestamp,
}

/// A signal of a job. A line of its own, behind that of its job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignalLine {
    pub(crate) job: Uuid,
    pub(crate) number: u32,
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) value: Box<RawValue>,
    pub(crate) by: String,
    pub(crate) at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) taken_by: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) taken_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) acknowledged_at: Option<Timestamp>,
}

impl SignalLine {
    pub(crate) fn of(job: Uuid, record: SignalRecord) -> Result<Self, serde_json::Error> {
        Ok(SignalLine {
            job,
            number: record.number,
            id: record.id,
            name: record.name,
            value: raw(record.value)?,
            by: record.by,
            at: record.at,
            taken_by: record.taken.map(|(attempt, _)| attempt),
            taken_at: record.taken.map(|(_, at)| at),
            acknowledged_at: record.acknowledged_at,
        })
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProgressLine {
    pub(crate) fraction: f64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) message: Option<String>,
    pub(crate) at: Timestamp,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogLine {
    pub(crate) number: u64,
    pub(crate) at: Timestamp,
    pub(crate) level: LogLevel,
    pub(crate) text: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttemptLine {
    pub(crate) number: u32,
    pub(crate) token: u64,
    pub(crate) outcome: AttemptOutcome,
    pub(crate) node: String,
    pub(crate) claimed_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) finished_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<Box<RawValue>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventLine {
    pub(crate) position: u64,
    pub(crate) id: Uuid,
    #[serde(rename = "type")]
    pub(crate) event: EventType,
    pub(crate) occurred_at: Timestamp,
    pub(crate) job: Uuid,
    pub(crate) job_type: String,
    pub(crate) queue: String,
    pub(crate) job_created_at: Timestamp,
    pub(crate) correlation_id: Uuid,
    pub(crate) attempt: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) duration_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) progress: Option<Box<RawValue>>,
    pub(crate) instance: String,
    pub(crate) version: String,
}

/// What has been transferred.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Jobs.
    pub jobs: u64,
    /// Attempts that had ended.
    pub attempts: u64,
    /// Events.
    pub events: u64,
}

/// JSON text as it stands, on one line. What is no JSON (a damaged file) is an error.
pub(crate) fn raw(text: String) -> Result<Box<RawValue>, serde_json::Error> {
    // Line ends can stand only between the parts of a value, where a blank says the same.
    let text = if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text };
    RawValue::from_string(text)
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// Bytes as hexadecimal text.
pub(super) mod hexadecimal {
    use std::fmt::Write;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in super::super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let pairs = text.as_bytes().chunks(2);
        let byte = |pair: &[u8]| {
            let digits = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
            u8::from_str_radix(digits, 16).ok()
        };
        pairs.map(|pair| byte(pair).ok_or_else(|| D::Error::custom("expected hexadecimal digits"))).collect()
    }
}
