//! One transaction: jobs are loaded, changed in memory and written back together, with their events and totals.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use callboard_contracts::{JobState, Timestamp, api::LogCursor};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    SqliteOptions,
    ended_attempt::{self, EndedAttempt},
    jobs::{self, JobRow},
    log::{self, Event},
};

/// What the writer, being alone, need not read again.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    pub(super) epoch: u64,
    /// The newest event's.
    pub(super) position: u64,
    /// The newest lease's.
    pub(super) token: u64,
    /// The newest job's.
    pub(super) sequence: u64,
    pub(super) totals: HashMap<String, [i64; 8]>,
}

impl Memory {
    pub(super) fn load(connection: &Connection) -> rusqlite::Result<Self> {
        let setting = |key: &str| -> rusqlite::Result<Value> {
            let mut statement = connection.prepare("SELECT value FROM settings WHERE key = ?1")?;
            let mut rows = statement.query([key])?;
            let text: Option<String> = rows.next()?.map(|row| row.get(0)).transpose()?;
            Ok(text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
        };
        let counters = setting("counters")?;
        let counter = |name: &str| counters[name].as_u64().unwrap_or(0);
        let mut totals: HashMap<String, [i64; 8]> = HashMap::new();
        let mut statement = connection.prepare("SELECT queue, state, count FROM totals")?;
        let mut rows = statement.query(())?;
        while let Some(row) = rows.next()? {
            let state: usize = row.get::<_, i64>(1)?.try_into().unwrap_or(usize::MAX);
            if let Some(count) = totals.entry(row.get(0)?).or_default().get_mut(state) {
                *count = row.get(2)?;
            }
        }
        Ok(Memory {
            epoch: setting("epoch")?.as_u64().unwrap_or(1),
            position: counter("position"),
            token: counter("token"),
            sequence: counter("sequence"),
            totals,
        })
    }

    pub(super) fn newest(&self) -> LogCursor {
        LogCursor { epoch: self.epoch, position: self.position }
    }
}

/// One transaction.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) options: &'a SqliteOptions,
    pub(super) now: Timestamp,
    pub(super) memory: Memory,
    /// Jobs that were loaded and may have changed.
    pub(super) rows: BTreeMap<Uuid, JobRow>,
    pub(super) events: Vec<Event>,
    pub(super) attempts: Vec<EndedAttempt>,
    /// Queues whose totals have changed.
    touched: Vec<String>,
    finished: bool,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(connection: &'a Connection, options: &'a SqliteOptions, memory: &Memory) -> Self {
        Transaction {
            connection,
            options,
            now: options.clock.now(),
            memory: memory.clone(),
            rows: BTreeMap::new(),
            events: Vec::new(),
            attempts: Vec::new(),
            touched: Vec::new(),
            finished: false,
        }
    }

    /// Counts a job's move between two states; `None`: it was not there.
    pub(super) fn count(&mut self, queue: &str, from: Option<JobState>, to: JobState) {
        if !self.memory.totals.contains_key(queue) {
            self.memory.totals.insert(queue.to_owned(), [0; 8]);
        }
        if let Some(totals) = self.memory.totals.get_mut(queue) {
            if let Some(from) = from.filter(|from| !from.is_final()) {
                totals[from as usize] -= 1;
            }
            totals[to as usize] += 1;
        }
        if !self.touched.iter().any(|touched| touched == queue) {
            self.touched.push(queue.to_owned());
        }
        self.finished |= to.is_final();
    }

    /// Loads these jobs, as far as they exist and are not loaded already.
    pub(super) fn load(&mut self, ids: impl Iterator<Item = Uuid>) -> rusqlite::Result<()> {
        let missing: BTreeSet<Uuid> = ids.filter(|id| !self.rows.contains_key(id)).collect();
        if !missing.is_empty() {
            let rows = jobs::load(self.connection, missing)?;
            self.rows.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        Ok(())
    }

    /// Moves a job to another state and counts that.
    pub(super) fn enter(&mut self, row: &mut JobRow, state: JobState) {
        self.count(&row.queue, Some(row.state), state);
        row.state = state;
        row.changed = true;
        if state.is_final() {
            row.finished_at = Some(self.now);
        }
        if state == JobState::Available {
            row.scheduled_at = self.now;
            row.wait_reason = None;
        }
        if state != JobState::Executing {
            row.session = None;
        }
    }

    /// Jobs of a queue that wait.
    pub(super) fn backlog(&self, queue: &str) -> u64 {
        use JobState::{Available, Pending, Retryable, Scheduled};
        let totals = self.memory.totals.get(queue).copied().unwrap_or_default();
        let waiting = [Pending, Scheduled, Available, Retryable].map(|state| totals[state as usize]);
        u64::try_from(waiting.into_iter().sum::<i64>()).unwrap_or(0)
    }

    pub(super) fn next_token(&mut self) -> u64 {
        self.memory.token += 1;
        self.memory.token
    }

    /// Writes changed jobs back, so that statements that look for jobs see them as they are.
    pub(super) fn flush(&mut self) -> rusqlite::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        jobs::write_back(self.connection, rows.values().filter(|row| row.changed), self.now)
    }

    /// Writes all that is still in memory. What is to be remembered once it is committed.
    pub(super) fn finish(mut self) -> rusqlite::Result<Memory> {
        self.flush()?;
        ended_attempt::insert(self.connection, &self.attempts, &self.options.node)?;
        self.memory.position =
            log::insert(self.connection, self.options, self.now, self.memory.position, &self.events)?;
        if !self.touched.is_empty() {
            self.write_totals()?;
        }
        if self.finished {
            self.put_setting("last_finished_at", &json!(self.now.as_micros()).to_string())?;
        }
        let counters = json!({
            "position": self.memory.position, "token": self.memory.token, "sequence": self.memory.sequence,
        });
        self.put_setting("counters", &counters.to_string())?;
        Ok(self.memory)
    }

    pub(super) fn put_setting(&self, key: &str, value: &str) -> rusqlite::Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO settings (key, value) VALUES (?1, ?2)
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE value <> excluded.value",
        )?;
        statement.execute(params![key, value])?;
        Ok(())
    }

    fn write_totals(&self) -> rusqlite::Result<()> {
        let rows: Vec<Value> = self
            .touched
            .iter()
            .filter_map(|queue| Some((queue, self.memory.totals.get(queue)?)))
            .flat_map(|(queue, totals)| (0..8).map(move |state| json!([queue, state, totals[state]])))
            .collect();
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO totals (queue, state, count)
             SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(?1) WHERE true
             ON CONFLICT (queue, state) DO UPDATE SET count = excluded.count WHERE count <> excluded.count",
        )?;
        statement.execute([Value::Array(rows).to_string()])?;
        Ok(())
    }
}
