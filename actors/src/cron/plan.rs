//! What is to be done about the times of an entry that have come.

use std::time::Duration;

use callboard_contracts::{
    Timestamp,
    api::{CronBackfill, CronDefinition},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use super::Schedule;

/// For how long after it the newest time counts as not missed: a leader that is followed by another one, or a store that is away
/// for a moment, is no outage.
const PUNCTUAL: Duration = Duration::from_secs(60);
/// Missed times that are counted at most.
const COUNTED: usize = 1000;
/// Times for which jobs are stored in one go at most.
const BATCH: usize = 50;

/// A time, and when the job for it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DueTime {
    /// The time.
    pub due: Timestamp,
    /// The time with its jitter.
    pub fires_at: Timestamp,
}

/// One step: what the entry was waiting for, what becomes of it, and what it waits for then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Firing {
    /// The time that the entry was waiting for.
    pub from: Timestamp,
    /// The time for which a job is stored; `None`: for none of those that have passed.
    pub due: Option<DueTime>,
    /// Times that were missed before it, up to a thousand.
    pub missed: u64,
    /// The last of them.
    pub last_missed: Option<Timestamp>,
    /// What the entry waits for then.
    pub next: Option<DueTime>,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The steps; none if it is not time yet.
    pub firings: Vec<Firing>,
}

/// When the job for a time is stored: by its jitter later, which is the same whoever asks, and always before the next time.
pub fn fires_at(name: &str, jitter: Duration, due: Timestamp, next: Option<Timestamp>) -> Timestamp {
    let room = next.map_or(Duration::MAX, |next| next.saturating_since(due));
    let most = u64::try_from(jitter.min(room).as_micros()).unwrap_or(u64::MAX);
    let hash = hash("jitter", name, due);
    let part = u64::from_be_bytes(hash[..8].try_into().expect("a hash has 32 bytes"));
    due.saturating_add(Duration::from_micros(part.checked_rem(most).unwrap_or(0)))
}

/// The id of the job for a time: whoever stores it twice, stores one.
pub fn job_id(name: &str, due: Timestamp) -> Uuid {
    let hash = hash("job", name, due);
    let random: [u8; 10] = hash[..10].try_into().expect("a hash has 32 bytes");
    let millis = u64::try_from(due.as_micros() / 1000).unwrap_or(0);
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

fn hash(of: &str, name: &str, due: Timestamp) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(of);
    hash.update([0]);
    hash.update(name);
    hash.update([0]);
    hash.update(due.as_micros().to_be_bytes());
    hash.finalize().into()
}

impl Schedule {
    /// The first time after this one, and when its job is stored.
    pub fn next(&self, name: &str, definition: &CronDefinition, after: Timestamp) -> Option<DueTime> {
        self.after(after).map(|due| self.due_time(name, definition, due))
    }

    fn due_time(&self, name: &str, definition: &CronDefinition, due: Timestamp) -> DueTime {
        let jitter = Duration::from_millis(definition.jitter_ms);
        // Without jitter nobody needs to look for the next one.
        let next = (!jitter.is_zero()).then(|| self.after(due)).flatten();
        DueTime { due, fires_at: fires_at(name, jitter, due, next) }
    }

    /// Times after `after` and not after `until`, at most `most`, and the last of them.
    fn count(&self, after: Timestamp, until: Timestamp, most: usize) -> (usize, Option<Timestamp>) {
        let times = std::iter::successors(self.after(after), |last| self.after(*last));
        times
            .take_while(|due| *due <= until)
            .take(most)
            .fold((0, None), |(count, _), due| (count + 1, Some(due)))
    }
}

/// What is to be done at `now` about an entry that waits for `from`.
pub fn plan(
    name: &str,
    definition: &CronDefinition,
    schedule: &Schedule,
    from: Timestamp,
    now: Timestamp,
) -> Plan {
    let due_time = |due| schedule.due_time(name, definition, due);
    // Of the times that have come, the newest may have to wait for its jitter.
    let newest = schedule.latest(from, now).unwrap_or(from);
    let last = match due_time(newest) {
        newest if newest.fires_at <= now => Some(newest),
        DueTime { due, .. } => {
            let before = Timestamp::from_micros(due.as_micros() - 1);
            schedule.latest(from, before).map(due_time)
        }
    };
    let Some(last) = last.filter(|last| last.due >= from) else { return Plan::default() };
    let is_punctual = now.saturating_since(last.fires_at) <= PUNCTUAL;
    let first = match definition.backfill {
        CronBackfill::None if is_punctual => Some(last),
        CronBackfill::None => None,
        CronBackfill::Last => Some(last),
        CronBackfill::All => oldest(definition, schedule, from, last, now).map(due_time),
    };
    let Some(first) = first else {
        let (missed, last_missed) = missed(schedule, from, last.due);
        let next = schedule.next(name, definition, last.due);
        return Plan { firings: vec![Firing { from, due: None, missed, last_missed, next }] };
    };
    let mut firings: Vec<Firing> = Vec::new();
    let (mut from, mut due) = (from, Some(first));
    while let Some(this) = due.filter(|due| due.due <= last.due && firings.len() < BATCH) {
        let before = Timestamp::from_micros(this.due.as_micros() - 1);
        let (missed, last_missed) = missed(schedule, from, before);
        let next = schedule.next(name, definition, this.due);
        firings.push(Firing { from, due: Some(this), missed, last_missed, next });
        from = next.map_or(Timestamp::MAX, |next| next.due);
        due = next;
    }
    Plan { firings }
}

/// How many times there are from `from` to `until`, up to a thousand, and the last of those.
fn missed(schedule: &Schedule, from: Timestamp, until: Timestamp) -> (u64, Option<Timestamp>) {
    if until < from {
        return (0, None);
    }
    let (count, _) = schedule.count(Timestamp::from_micros(from.as_micros() - 1), until, COUNTED);
    (count as u64, schedule.latest(from, until))
}

/// The oldest missed time that is made up for: of the last `backfill_most` that are young enough.
fn oldest(
    definition: &CronDefinition,
    schedule: &Schedule,
    from: Timestamp,
    last: DueTime,
    now: Timestamp,
) -> Option<Timestamp> {
    let most = definition.backfill_most.max(1) as usize;
    let young = now.saturating_sub(Duration::from_millis(definition.backfill_within_ms));
    // The newest time is not missed while it is punctual, however few may be made up for.
    let young = if now.saturating_since(last.fires_at) <= PUNCTUAL { young.min(last.due) } else { young };
    let begin = from.max(young);
    let after = |at: Timestamp| Timestamp::from_micros(at.as_micros() - 1);
    let fits = |begin: Timestamp| schedule.count(after(begin), last.due, most + 1).0 <= most;
    if fits(begin) {
        return schedule.after(after(begin)).filter(|due| *due <= last.due);
    }
    // The earliest second from which on there are not too many.
    let second = |at: Timestamp| at.as_micros().div_euclid(1_000_000);
    let moment = |second: i64| Timestamp::from_micros(second.saturating_mul(1_000_000));
    let (mut low, mut high) = (second(begin), second(last.due));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if fits(moment(middle)) { high = middle } else { low = middle }
    }
    schedule.after(after(moment(high)))
}
