//! The cron table as it is shown.

use callboard_contracts::{
    Timestamp,
    api::{CronPreview, CronView, FieldError},
};

use super::{
    super::{
        node::Node,
        request::{PreviewCron, Refusal},
    },
    secrets,
};
use crate::{
    cron::{InvalidSchedule, Schedule},
    edges::store::{StoreError, cron::CronRecord},
};

/// The next times that are shown of an entry.
const NEXT: usize = 5;
/// The next times that may be asked for of an expression.
const MOST: u32 = 100;

pub(in super::super) async fn list(node: &Node) -> Result<Vec<CronView>, StoreError> {
    Ok(node.store.cron().await?.into_iter().map(|entry| view(node, entry)).collect())
}

pub(in super::super) async fn find(node: &Node, name: String) -> Result<Option<CronView>, StoreError> {
    Ok(node.store.cron_entry(name).await?.map(|entry| view(node, entry)))
}

/// What an expression means.
pub(in super::super) fn preview(node: &Node, request: &PreviewCron) -> Result<CronPreview, Refusal> {
    let PreviewCron { expression, time_zone, count } = request;
    if !(1..=MOST).contains(count) {
        return Err(invalid("/count", format!("must be from 1 to {MOST}")));
    }
    let schedule = Schedule::parse(expression, time_zone).map_err(|error| match error {
        InvalidSchedule::Expression(why) => invalid("/expression", why),
        InvalidSchedule::TimeZone(why) => invalid("/time_zone", why),
    })?;
    Ok(CronPreview {
        expression: expression.clone(),
        time_zone: time_zone.clone(),
        description: schedule.words(),
        next_times: schedule.next_times(node.store.now(), *count as usize),
    })
}

fn invalid(pointer: &str, message: String) -> Refusal {
    Refusal::Invalid(vec![FieldError { pointer: pointer.to_owned(), message }])
}

/// An entry at this time, without its secrets.
pub(super) fn view(node: &Node, mut entry: CronRecord) -> CronView {
    let now = node.store.now();
    secrets::redact(&node.secrets, &mut entry.definition);
    let schedule = Schedule::parse(&entry.definition.expression, &entry.definition.time_zone);
    // A time that has come and is not dealt with yet is the next one still.
    let from = entry.next.map_or(now, |next| Timestamp::from_micros(next.due.as_micros() - 1));
    let (description, next_times) = match schedule {
        Ok(schedule) => (schedule.words(), schedule.next_times(from, NEXT)),
        // A newer program has stored it.
        Err(error) => (error.to_string(), Vec::new()),
    };
    CronView {
        name: entry.name,
        definition: entry.definition,
        description,
        source: entry.source,
        set_by: entry.set_by,
        paused_at: entry.paused_at,
        fires_at: entry.next.map(|next| next.fires_at),
        next_times,
        fired: entry.fired,
        skipped: entry.skipped,
        missed: entry.missed,
        firings: entry.firings,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
    }
}
