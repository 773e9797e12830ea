//! One transaction: jobs are loaded, changed in memory and written back together, with their events and totals.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use callboard_contracts::{JobState, Timestamp, api::LogCursor};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{SqliteOptions, edges, ended_attempt, jobs, log};
use crate::edges::store::transition::{Changes, backlog, needs::Tripped};

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
    /// Edges that were tripped and not made ready since, each with when it counts as ready by itself.
    pub(super) tripped: Arc<BTreeMap<String, Option<Timestamp>>>,
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
            tripped: Arc::new(edges::tripped(connection)?),
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
    pub(super) memory: Memory,
    pub(super) changes: Changes,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(connection: &'a Connection, options: &'a SqliteOptions, memory: &Memory) -> Self {
        Transaction {
            connection,
            options,
            memory: memory.clone(),
            changes: Changes::new(options.clock.now()),
        }
    }

    /// Loads these jobs, as far as they exist and are not loaded already.
    pub(super) fn load(&mut self, ids: impl Iterator<Item = Uuid>) -> rusqlite::Result<()> {
        let missing: BTreeSet<Uuid> = ids.filter(|id| !self.changes.rows.contains_key(id)).collect();
        if !missing.is_empty() {
            let rows = jobs::load(self.connection, missing)?;
            self.changes.rows.extend(rows.into_iter().map(|row| (row.id, row)));
        }
        Ok(())
    }

    /// Jobs of a queue that wait.
    pub(super) fn backlog(&self, queue: &str) -> u64 {
        let before = self.memory.totals.get(queue).map_or(0, backlog);
        u64::try_from(before + self.changes.backlog_grown(queue)).unwrap_or(0)
    }

    /// Jobs of all queues together that wait.
    pub(super) fn total(&self) -> u64 {
        let before: i64 = self.memory.totals.values().map(backlog).sum();
        u64::try_from(before + self.changes.total_grown()).unwrap_or(0)
    }

    /// Jobs of a queue that are with a node.
    pub(super) fn executing(&self, queue: &str) -> u32 {
        let count = |totals: &[i64; 8]| totals[JobState::Executing as usize];
        let before = self.memory.totals.get(queue).map_or(0, count);
        let grown = self.changes.totals.get(queue).map_or(0, count);
        u32::try_from(before + grown).unwrap_or(0)
    }

    /// The edges that are tripped now.
    pub(super) fn tripped(&self) -> Tripped {
        let edges = self.memory.tripped.iter().map(|(name, until)| (name.clone(), *until));
        Tripped::at(self.changes.now, edges)
    }

    /// Writes changed jobs back, so that statements that look for jobs see them as they are.
    pub(super) fn flush(&mut self) -> rusqlite::Result<()> {
        let mut rows = std::mem::take(&mut self.changes.rows);
        for row in rows.values_mut().filter(|row| row.needs_token) {
            self.memory.token += 1;
            row.token = self.memory.token;
        }
        jobs::write_back(self.connection, rows.values().filter(|row| row.changed), self.changes.now)
    }

    /// Writes all that is still in memory. What is to be remembered once it is committed.
    pub(super) fn finish(mut self) -> rusqlite::Result<Memory> {
        self.flush()?;
        let Changes { now, events, attempts, totals, finished, .. } = &self.changes;
        ended_attempt::insert(self.connection, attempts, &self.options.node)?;
        self.memory.position =
            log::insert(self.connection, self.options, *now, self.memory.position, events)?;
        for (queue, grown) in totals {
            let counts = self.memory.totals.entry(queue.clone()).or_default();
            counts.iter_mut().zip(grown).for_each(|(count, grown)| *count += grown);
        }
        if !totals.is_empty() {
            self.write_totals()?;
        }
        if *finished {
            self.put_setting("last_finished_at", &json!(now.as_micros()).to_string())?;
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
            .changes
            .totals
            .keys()
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
