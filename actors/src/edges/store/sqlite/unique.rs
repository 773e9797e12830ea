//! The places of jobs that are to be the only ones of their kind.

use std::collections::BTreeSet;

use callboard_contracts::{JobState, Timestamp};
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::jobs::{id, optional_time};
use crate::edges::store::{
    record::NewJob,
    transfer::PlaceLine,
    transition::{
        code::state_of,
        unique::{Holder, Holders, bits, states, until},
    },
};

/// Who has taken these places last, as far as those jobs are still there.
pub(super) fn holders(connection: &Connection, keys: &BTreeSet<[u8; 32]>) -> rusqlite::Result<Holders> {
    let mut statement = connection.prepare_cached(
        "SELECT jobs.id, jobs.created_event_id, jobs.queue, jobs.state, unique_jobs.states, unique_jobs.until
         FROM unique_jobs JOIN jobs ON jobs.id = unique_jobs.job WHERE unique_jobs.key = ?1",
    )?;
    let mut holders = Holders::new();
    for key in keys {
        let found = statement.query_row([key], |row| {
            Ok(Holder {
                job: id(row, 0)?,
                event_id: id(row, 1)?,
                queue: row.get(2)?,
                state: state_of(row.get(3)?),
                states: row.get(4)?,
                until: optional_time(row, 5)?,
            })
        });
        if let Some(holder) = found.optional()? {
            holders.insert(*key, holder);
        }
    }
    Ok(holders)
}

/// These jobs have the places of their kinds from now on.
pub(super) fn take(
    connection: &Connection,
    stored: &[(&NewJob, JobState)],
    now: Timestamp,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(
        "INSERT INTO unique_jobs (key, job, states, until) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (key) DO UPDATE SET job = excluded.job, states = excluded.states, until = excluded.until",
    )?;
    for (job, unique) in stored.iter().filter_map(|(job, _)| Some((job, job.unique.as_ref()?))) {
        statement.execute(params![
            unique.key,
            job.id.as_bytes(),
            bits(&unique.states),
            until(unique, now).map(Timestamp::as_micros),
        ])?;
    }
    Ok(())
}

/// The place that a job was the last to take.
pub(super) fn of_job(connection: &Connection, job: Uuid) -> rusqlite::Result<Option<PlaceLine>> {
    let mut statement =
        connection.prepare_cached("SELECT key, states, until FROM unique_jobs WHERE job = ?1")?;
    let line = statement.query_row([job.as_bytes()], |row| {
        Ok(PlaceLine { kind: row.get(0)?, states: states(row.get(1)?), until: optional_time(row, 2)? })
    });
    line.optional()
}

/// A job that was moved here brings its place.
pub(super) fn bring(connection: &Connection, job: Uuid, place: &PlaceLine) -> rusqlite::Result<()> {
    let mut statement = connection
        .prepare_cached("INSERT INTO unique_jobs (key, job, states, until) VALUES (?1, ?2, ?3, ?4)")?;
    let until = place.until.map(Timestamp::as_micros);
    statement.execute(params![place.kind, job.as_bytes(), bits(&place.states), until])?;
    Ok(())
}
