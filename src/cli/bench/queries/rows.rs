//! The jobs that fill the store: the same ones each time, in a mix as of a server that has worked for a week.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use callboard::contracts::{JobState, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

/// Queues that no server of the measurement serves: what waits in them stays.
pub(super) const QUEUES: [&str; 8] =
    ["mail", "reports", "images", "billing", "search", "exports", "hooks", "nightly"];
/// Job types.
pub(super) const TYPES: usize = 20;
/// Tags of the form `tenant-N`, of which each job has one.
pub(super) const TENANTS: u64 = 1000;
/// Jobs with the tag `incident`, spread over all.
pub(super) const INCIDENTS: u64 = 60;
/// The age of the oldest job: within the retention of every state.
const SPAN: Duration = Duration::from_secs(6 * 24 * 60 * 60);
/// When what is to run later is due.
const LATER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// So many jobs, made up to `now`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    pub(super) count: u64,
    pub(super) now: Timestamp,
}

/// What the queries ask of a job.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) job_type: usize,
    pub(super) queue: &'static str,
    pub(super) state: JobState,
    pub(super) tenant: u64,
    pub(super) is_urgent: bool,
    pub(super) is_incident: bool,
    created_at: Timestamp,
}

/// Sebastiano Vigna's SplitMix64: well spread, and the same everywhere.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The name of a type.
pub(super) fn type_name(number: usize) -> String {
    format!("type-{number:02}")
}

impl Rows {
    /// The job in this place of the order of storing, from 0.
    pub(super) fn row(&self, place: u64) -> Row {
        let chance = mixed(place);
        let state = match chance % 1000 {
            0..890 => JobState::Completed,
            890..930 => JobState::Available,
            930..960 => JobState::Discarded,
            960..975 => JobState::Scheduled,
            975..990 => JobState::Cancelled,
            990..997 => JobState::Retryable,
            _ => JobState::Pending,
        };
        // Of each queue and type half as many as of the one before.
        let halving = |bits: u64, of: usize| ((bits | 1 << (of - 1)).trailing_zeros() as usize).min(of - 1);
        let age = SPAN.mul_f64((self.count - place) as f64 / self.count as f64);
        let created_at = self.now.saturating_sub(age + Duration::from_secs(60));
        let millis = u64::try_from(created_at.as_micros() / 1000).unwrap_or(0);
        let other = mixed(chance);
        Row {
            id: Uuid::from_u64_pair(millis << 16 | 0x7000 | (chance >> 52), 1 << 63 | other >> 2),
            job_type: halving(chance >> 10, TYPES),
            queue: QUEUES[halving(chance >> 32, QUEUES.len())],
            state,
            tenant: other % TENANTS,
            is_urgent: (other >> 20).is_multiple_of(100),
            is_incident: place.is_multiple_of((self.count / INCIDENTS).max(1)),
            created_at,
        }
    }

    /// The newest jobs that pass, newest first.
    pub(super) fn newest(&self, most: usize, passes: impl Fn(&Row) -> bool) -> Vec<Uuid> {
        let rows = (0..self.count).rev().map(|place| self.row(place));
        rows.filter(|row| passes(row)).take(most).map(|row| row.id).collect()
    }

    /// How many there are in each queue and state.
    pub(super) fn totals(&self) -> BTreeMap<(&'static str, JobState), u64> {
        let mut totals = BTreeMap::new();
        for place in 0..self.count {
            let row = self.row(place);
            *totals.entry((row.queue, row.state)).or_insert(0) += 1;
        }
        totals
    }

    /// All of it, as `callboard store import` reads it. `head` is the first line of the export of an empty store.
    pub(super) fn export(
        self,
        head: &Value,
        totals: &BTreeMap<(&'static str, JobState), u64>,
        stopped: Arc<AtomicBool>,
    ) -> Export {
        let mut head = head.clone();
        for (name, value) in [("sequence", self.count), ("token", self.count), ("position", 0)] {
            head["export"][name] = value.into();
        }
        head["export"]["events"] = false.into();
        let mut first = format!("{head}\n");
        for name in QUEUES {
            let queue = json!({ "name": name, "concurrency": 50, "max_backlog": 1_000_000_000, "updated_at": self.now });
            first.push_str(&format!("{}\n", json!({ "queue": queue })));
        }
        for ((queue, state), count) in totals.iter().filter(|((_, state), _)| state.is_final()) {
            let total = json!({ "queue": queue, "state": state, "count": count });
            first.push_str(&format!("{}\n", json!({ "total": total })));
        }
        Export { rows: self, next: 0, attempts: 0, ended: false, text: first.into_bytes(), read: 0, stopped }
    }

    /// The job's line, and whether it has an attempt.
    fn line(&self, place: u64) -> (Value, bool) {
        let row = self.row(place);
        let ran = matches!(
            row.state,
            JobState::Completed | JobState::Discarded | JobState::Cancelled | JobState::Retryable
        );
        let failed = matches!(row.state, JobState::Discarded | JobState::Retryable);
        let created_at = row.created_at;
        let started_at = created_at.saturating_add(Duration::from_millis(20));
        let finished_at = created_at.saturating_add(Duration::from_millis(250));
        let due = match row.state {
            JobState::Scheduled | JobState::Retryable => self.now.saturating_add(LATER),
            _ => created_at,
        };
        let mut tags = vec![format!("tenant-{}", row.tenant)];
        tags.extend(row.is_urgent.then(|| "urgent".to_owned()));
        tags.extend(row.is_incident.then(|| "incident".to_owned()));
        let mut job = json!({
            "id": row.id, "sequence": place + 1, "type": type_name(row.job_type), "queue": row.queue, "state": row.state,
            "payload": { "customer": row.tenant, "file": format!("s3://bucket/{}/{place}.pdf", row.tenant), "pages": place % 97 },
            "fingerprint": format!("{:064x}", mixed(place)), "attempt": u8::from(ran), "max_attempts": 5,
            "timeout_us": 900_000_000, "token": if ran { place + 1 } else { 0 }, "correlation_id": row.id,
            "created_event_id": row.id, "created_at": created_at, "updated_at": if ran { finished_at } else { created_at },
            "scheduled_at": due, "claims": u8::from(ran), "was_started": ran, "deaths": 0, "tags": tags,
        });
        let error = "connection to storage.example.com:443 was refused";
        if ran {
            job["claimed_at"] = json!(created_at);
            job["started_at"] = json!(started_at);
            let outcome = match row.state {
                JobState::Completed => "completed",
                JobState::Cancelled => "cancelled",
                _ => "failed",
            };
            let mut attempt = json!({
                "number": 1, "token": place + 1, "outcome": outcome, "node": "bench", "claimed_at": created_at,
                "started_at": started_at, "finished_at": finished_at,
            });
            if failed {
                attempt["error"] = json!({ "kind": "failed", "message": error });
            }
            job["attempts"] = json!([attempt]);
        }
        if row.state.is_final() {
            job["finished_at"] = json!(finished_at);
        }
        match row.state {
            JobState::Completed => job["result"] = json!({ "bytes": place * 7 }),
            JobState::Pending => job["wait_reason"] = json!("no handler"),
            _ if failed => job["last_error"] = json!(error),
            _ => {}
        }
        (json!({ "job": job }), ran)
    }
}

/// An export that is written while it is read.
pub(super) struct Export {
    rows: Rows,
    next: u64,
    attempts: u64,
    ended: bool,
    text: Vec<u8>,
    read: usize,
    /// True once nobody waits for the store any more.
    stopped: Arc<AtomicBool>,
}

impl BufRead for Export {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.read == self.text.len() {
            if self.stopped.load(Relaxed) {
                return Err(io::Error::other("stopped"));
            }
            self.text.clear();
            self.read = 0;
            let until = (self.next + 100).min(self.rows.count);
            for place in self.next..until {
                let (line, ran) = self.rows.line(place);
                self.attempts += u64::from(ran);
                serde_json::to_writer(&mut self.text, &line)?;
                self.text.push(b'\n');
            }
            self.next = until;
            if self.text.is_empty() && !std::mem::replace(&mut self.ended, true) {
                let end = json!({ "jobs": self.rows.count, "attempts": self.attempts, "events": 0 });
                self.text = format!("{}\n", json!({ "end": end })).into_bytes();
            }
        }
        Ok(&self.text[self.read..])
    }

    fn consume(&mut self, amount: usize) {
        self.read += amount;
    }
}

impl Read for Export {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let amount = self.fill_buf()?.read(into)?;
        self.consume(amount);
        Ok(amount)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mix_has_something_of_everything_and_ids_are_of_their_own() {
        let rows = Rows { count: 20_000, now: Timestamp::now() };
        let all: Vec<Row> = (0..rows.count).map(|place| rows.row(place)).collect();
        let ids: std::collections::BTreeSet<Uuid> = all.iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), all.len());
        assert!(all.iter().all(|row| row.id.get_version_num() == 7));
        assert_eq!(all.iter().filter(|row| row.is_incident).count() as u64, INCIDENTS + 1);
        for queue in QUEUES {
            assert!(all.iter().any(|row| row.queue == queue), "{queue}");
        }
        let totals = rows.totals();
        assert_eq!(totals.values().sum::<u64>(), rows.count);
        let states: std::collections::BTreeSet<_> = totals.keys().map(|(_, state)| *state).collect();
        assert_eq!(states.len(), 7, "all but executing: {states:?}");
        assert_eq!(rows.newest(1, |_| true), [all[all.len() - 1].id]);
    }
}
