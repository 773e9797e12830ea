//! Cron: jobs that are stored at times which an expression says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    Timestamp,
    tag::{MAX_TAGS, TAG_PATTERN},
};

use super::SubmitJob;

/// Tags that the job of an entry may have: one of those that a job may have is the entry's own.
pub const MAX_CRON_TAGS: usize = MAX_TAGS - 1;

/// What an entry stores each time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CronJob {
    /// The job type, one that the server knows.
    #[serde(rename = "type")]
    pub job_type: String,
    /// What the job is about; must fit the type's schema. Default: an empty object.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub payload: Map<String, Value>,
    /// The queue. Default: the job type's own, mostly `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// How many attempts it may take, 1 to 1000. Default: the job type's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u32>,
    /// How long one attempt may take, in milliseconds. Default: the job type's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Its priority, -1000 to 1000. Default: 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = -1000, maximum = 1000))]
    #[schemars(range(min = -1000, max = 1000))]
    pub priority: Option<i16>,
    /// Words by which it is found again, at most 15 different ones; `cron:NAME` is added to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(max_items = 15))]
    #[schemars(length(max = MAX_CRON_TAGS), inner(regex(pattern = TAG_PATTERN)))]
    pub tags: Vec<String>,
    /// Whom or what it is for. Default: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    #[schemars(length(min = 1, max = 200))]
    pub partition_key: Option<String>,
    /// What its maker wants to remember about it. `cron` is added to it: the entry's name, and the time that was due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
}

impl CronJob {
    /// As it is submitted for one time, with this id: tagged `cron:NAME`, and with `metadata.cron`.
    pub fn submission(&self, id: Uuid, name: &str, due: Timestamp, time_zone: &str) -> SubmitJob {
        let mut metadata = self.metadata.clone().unwrap_or_default();
        let cron = serde_json::json!({ "name": name, "due": due, "time_zone": time_zone });
        metadata.insert("cron".to_owned(), cron);
        let mut tags = self.tags.clone();
        tags.push(tag_of(name));
        SubmitJob {
            job_type: self.job_type.clone(),
            payload: self.payload.clone(),
            id: Some(id),
            queue: self.queue.clone(),
            max_attempts: self.max_attempts,
            timeout_ms: self.timeout_ms,
            scheduled_at: None,
            priority: self.priority,
            tags,
            partition_key: self.partition_key.clone(),
            unique: None,
            metadata: Some(metadata),
        }
    }
}

/// The tag that all jobs of an entry have.
pub fn tag_of(name: &str) -> String {
    format!("cron:{name}")
}

/// What happens at a time at which the job of the time before has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CronOverlap {
    /// A job is stored beside it.
    #[default]
    Allow,
    /// None is stored.
    Skip,
    /// It is cancelled, and a job is stored.
    Replace,
}

/// What happens about times that passed while nobody could store a job, other than the newest one within a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CronBackfill {
    /// They are left out.
    None,
    /// A job is stored for the last of them.
    #[default]
    Last,
    /// A job is stored for each of them, oldest first: for the last `backfill_most` that are not older than
    /// `backfill_within_ms`.
    All,
}

/// When a job is stored, and what job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CronDefinition {
    /// When: `minute hour day-of-month month day-of-week`, with seconds before them if there are six, or `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`, `@yearly`.
    #[cfg_attr(feature = "openapi", schema(min_length = 1, max_length = 200))]
    #[schemars(length(min = 1, max = 200))]
    pub expression: String,
    /// The time zone that the expression is read in, by its IANA name. Default: `UTC`.
    #[serde(default = "utc")]
    #[cfg_attr(feature = "openapi", schema(max_length = 64))]
    #[schemars(length(max = 64))]
    pub time_zone: String,
    /// What is stored.
    pub job: CronJob,
    /// A job is stored up to so many milliseconds after its time, by a part of them that differs from time to time, so that not
    /// all entries fire at once; always before the next time. At most an hour. Default: 0.
    #[serde(default, skip_serializing_if = "is_zero")]
    #[cfg_attr(feature = "openapi", schema(maximum = 3_600_000))]
    #[schemars(range(max = 3_600_000))]
    pub jitter_ms: u64,
    /// What happens while the job of the time before has not ended. Default: `allow`.
    #[serde(default)]
    pub overlap: CronOverlap,
    /// What happens about times that were missed. Default: `last`.
    #[serde(default)]
    pub backfill: CronBackfill,
    /// Missed times for which `all` stores jobs, 1 to 1000. Default: 100.
    #[serde(default = "most")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1000))]
    #[schemars(range(min = 1, max = 1000))]
    pub backfill_most: u32,
    /// How old missed times may be, in milliseconds, for which `all` stores jobs; at most a year. Default: a day.
    #[serde(default = "within")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 31_622_400_000_u64))]
    #[schemars(range(min = 1, max = 31_622_400_000_u64))]
    pub backfill_within_ms: u64,
}

impl CronDefinition {
    /// In UTC, and with the defaults of whatever else can be said.
    pub fn new(expression: impl Into<String>, job: CronJob) -> Self {
        CronDefinition {
            expression: expression.into(),
            time_zone: utc(),
            job,
            jitter_ms: 0,
            overlap: CronOverlap::default(),
            backfill: CronBackfill::default(),
            backfill_most: most(),
            backfill_within_ms: within(),
        }
    }

    /// Whether its times are those of the other one.
    pub fn has_times_of(&self, other: &Self) -> bool {
        (&self.expression, &self.time_zone, self.jitter_ms)
            == (&other.expression, &other.time_zone, other.jitter_ms)
    }
}

fn utc() -> String {
    "UTC".to_owned()
}

fn most() -> u32 {
    100
}

fn within() -> u64 {
    24 * 60 * 60 * 1000
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Where an entry comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CronSource {
    /// The configuration of the node that leads, or the program that embeds it.
    Configuration,
    /// A request.
    Api,
}

impl CronSource {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            CronSource::Configuration => "configuration",
            CronSource::Api => "api",
        }
    }
}

/// What became of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CronResult {
    /// A job was stored.
    Fired,
    /// None was, for the reason that is given.
    Skipped,
    /// None was, since the time was missed and is not to be made up for.
    Missed,
    /// Somebody had a job stored, whatever the time.
    ByHand,
}

impl CronResult {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            CronResult::Fired => "fired",
            CronResult::Skipped => "skipped",
            CronResult::Missed => "missed",
            CronResult::ByHand => "by_hand",
        }
    }
}

/// What became of one time of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronFiring {
    /// The time that was due.
    pub due: Timestamp,
    /// When that was decided.
    pub at: Timestamp,
    /// What became of it.
    pub result: CronResult,
    /// The job that was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<Uuid>,
    /// Why none was, or what else was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A time of an entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronTime {
    /// The time.
    pub at: Timestamp,
    /// The same on the clocks of its time zone, with what they differ from UTC by.
    pub local: String,
}

/// An entry, and how it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronView {
    /// Its name.
    pub name: String,
    /// When, and what.
    pub definition: CronDefinition,
    /// When, in words.
    pub description: String,
    /// Where it comes from. One of the configuration can be paused and run by a request, and not changed.
    pub source: CronSource,
    /// Who has set it last: the name of a token, or of a node.
    pub set_by: String,
    /// Since when nothing is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused_at: Option<Timestamp>,
    /// When the next job is stored, its jitter with it. Absent while it is paused, and when there is no time any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fires_at: Option<Timestamp>,
    /// The next times; those that it would have, while it is paused.
    pub next_times: Vec<CronTime>,
    /// Times for which a job was stored.
    pub fired: u64,
    /// Times for which none was, since the job before had not ended, or could not be.
    pub skipped: u64,
    /// Times that were missed and not made up for, counted up to 1000 after each outage.
    pub missed: u64,
    /// What became of its last times, newest first, at most 10.
    pub firings: Vec<CronFiring>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// What an expression means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronPreview {
    /// The expression.
    pub expression: String,
    /// The time zone that it is read in.
    pub time_zone: String,
    /// When, in words.
    pub description: String,
    /// The next times.
    pub next_times: Vec<CronTime>,
}

/// A job that somebody had stored by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CronRun {
    /// The entry.
    pub name: String,
    /// The job.
    pub job_id: Uuid,
}
