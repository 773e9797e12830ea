//! What an entry must be like.

use callboard_contracts::{
    api::{CronDefinition, FieldError, cron::MAX_CRON_TAGS},
    name,
};

use super::{InvalidSchedule, Schedule};

/// No entry's name: what is at its place.
const PREVIEW: &str = "preview";
/// The longest jitter.
const MAX_JITTER_MS: u64 = 60 * 60 * 1000;
/// Missed times that may be made up for.
const MAX_BACKFILL: u32 = 1000;
/// The oldest that may be.
const MAX_WITHIN_MS: u64 = 366 * 24 * 60 * 60 * 1000;
/// The largest entry, in bytes: a leader holds many at a time.
const MAX_DEFINITION: usize = 64 * 1024;

/// Checks all of an entry but whether its job can be stored; gives its times.
///
/// # Errors
/// All that is wrong, each with its place.
pub fn check(entry: &str, definition: &CronDefinition) -> Result<Schedule, Vec<FieldError>> {
    let mut errors = Vec::new();
    let mut error =
        |pointer: &str, message: String| errors.push(FieldError { pointer: pointer.to_owned(), message });
    if let Err(problem) = name::check(entry) {
        error("/name", problem.to_string());
    }
    if entry == PREVIEW {
        error("/name", format!("{PREVIEW:?} is where expressions are tried out"));
    }
    let schedule = match Schedule::parse(&definition.expression, &definition.time_zone) {
        Ok(schedule) => Some(schedule),
        Err(InvalidSchedule::Expression(why)) => {
            error("/expression", why);
            None
        }
        Err(InvalidSchedule::TimeZone(why)) => {
            error("/time_zone", why);
            None
        }
    };
    if definition.jitter_ms > MAX_JITTER_MS {
        error("/jitter_ms", format!("must be from 0 to {MAX_JITTER_MS} (an hour)"));
    }
    if !(1..=MAX_BACKFILL).contains(&definition.backfill_most) {
        error("/backfill_most", format!("must be from 1 to {MAX_BACKFILL}"));
    }
    if !(1..=MAX_WITHIN_MS).contains(&definition.backfill_within_ms) {
        error("/backfill_within_ms", format!("must be from 1 to {MAX_WITHIN_MS} (a year)"));
    }
    let size = serde_json::to_vec(definition).map_or(usize::MAX, |text| text.len());
    if size > MAX_DEFINITION {
        error("/job", format!("the entry has {size} bytes, and may have {MAX_DEFINITION}"));
    }
    let tags = definition.job.tags.len();
    if tags > MAX_CRON_TAGS {
        error("/job/tags", format!("{tags} tags; the job of an entry may have {MAX_CRON_TAGS}"));
    }
    if definition.job.metadata.as_ref().is_some_and(|metadata| metadata.contains_key("cron")) {
        error("/job/metadata/cron", "is where the entry's name and the time stand".to_owned());
    }
    match schedule {
        Some(schedule) if errors.is_empty() => Ok(schedule),
        _ => Err(errors),
    }
}
