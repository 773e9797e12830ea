//! The places of jobs that are to be the only ones of their kind.
//!
//! A place is a row, and the row's key a primary key: whoever wants a place that another transaction is deciding about waits
//! until that one has, and then sees what it did.

use std::collections::{BTreeMap, BTreeSet};

use callboard_contracts::{JobState, Timestamp};
use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::columns::optional_time;
use crate::edges::store::{
    record::NewJob,
    transfer::PlaceLine,
    transition::{
        code::state_of,
        unique::{Holder, Holders, bits, states, until},
    },
};

/// Locks the places of these kinds, in the order of their keys, so that no two transactions wait for each other. Of a place
/// that nobody has had yet a row is made, which [`let_go`] takes away if nobody takes it.
pub(super) async fn lock(connection: &mut PgConnection, keys: &BTreeSet<[u8; 32]>) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO unique_jobs (key, job, states)
         SELECT key, $2, 0 FROM unnest($1::bytea[]) AS key ORDER BY key
         ON CONFLICT (key) DO UPDATE SET key = excluded.key",
    )
    .bind(as_bytes(keys))
    .bind(Uuid::nil())
    .execute(connection)
    .await?;
    Ok(())
}

/// Who has taken these places last, as far as those jobs are still there. They are locked.
pub(super) async fn holders(
    connection: &mut PgConnection,
    keys: &BTreeSet<[u8; 32]>,
) -> sqlx::Result<Holders> {
    let rows = sqlx::query(
        "SELECT key, unique_jobs.job, states, until, jobs.state, jobs.queue, created_event_id
         FROM unique_jobs JOIN jobs ON jobs.id = unique_jobs.job JOIN job_bodies ON job_bodies.id = jobs.id
         WHERE key = ANY($1)",
    )
    .bind(as_bytes(keys))
    .fetch_all(connection)
    .await?;
    rows.iter().map(read).collect()
}

fn read(row: &PgRow) -> sqlx::Result<([u8; 32], Holder)> {
    let key: Vec<u8> = row.try_get("key")?;
    let holder = Holder {
        job: row.try_get("job")?,
        event_id: row.try_get("created_event_id")?,
        queue: row.try_get("queue")?,
        state: state_of(row.try_get::<i16, _>("state")?.into()),
        states: row.try_get("states")?,
        until: optional_time(row, "until")?,
    };
    Ok((key.try_into().unwrap_or_default(), holder))
}

/// These jobs have the places of their kinds from now on. They are locked.
pub(super) async fn take(
    connection: &mut PgConnection,
    stored: &[(&NewJob, JobState)],
    now: Timestamp,
) -> sqlx::Result<()> {
    let (mut keys, mut jobs, mut states, mut untils) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (job, unique) in stored.iter().filter_map(|(job, _)| Some((job, job.unique.as_ref()?))) {
        keys.push(unique.key.to_vec());
        jobs.push(job.id);
        states.push(bits(&unique.states));
        untils.push(until(unique, now).map(Timestamp::as_micros));
    }
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "UPDATE unique_jobs SET job = new.job, states = new.states, until = new.until
         FROM (SELECT unnest($1::bytea[]) AS key, unnest($2::uuid[]) AS job, unnest($3::bigint[]) AS states,
                      unnest($4::bigint[]) AS until) AS new
         WHERE unique_jobs.key = new.key",
    )
    .bind(keys)
    .bind(jobs)
    .bind(states)
    .bind(untils)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the rows of these places away that [`lock`] has made and nobody has taken.
pub(super) async fn let_go(connection: &mut PgConnection, keys: &BTreeSet<[u8; 32]>) -> sqlx::Result<()> {
    sqlx::query("DELETE FROM unique_jobs WHERE key = ANY($1) AND job = $2")
        .bind(as_bytes(keys))
        .bind(Uuid::nil())
        .execute(connection)
        .await?;
    Ok(())
}

/// The places that these jobs were the last to take.
pub(super) async fn of_jobs(
    connection: &mut PgConnection,
    jobs: &[Uuid],
) -> sqlx::Result<BTreeMap<Uuid, PlaceLine>> {
    let rows = sqlx::query("SELECT job, key, states, until FROM unique_jobs WHERE job = ANY($1)")
        .bind(jobs)
        .fetch_all(connection)
        .await?;
    let line = |row: &PgRow| {
        let (kind, states) = (row.try_get("key")?, states(row.try_get("states")?));
        Ok((row.try_get("job")?, PlaceLine { kind, states, until: optional_time(row, "until")? }))
    };
    rows.iter().map(line).collect()
}

/// Jobs that were moved here bring their places.
pub(super) async fn bring(
    connection: &mut PgConnection,
    places: impl Iterator<Item = (Uuid, &'_ PlaceLine)>,
) -> sqlx::Result<()> {
    let (mut keys, mut jobs, mut states, mut untils) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (job, place) in places {
        keys.push(place.kind.as_slice());
        jobs.push(job);
        states.push(bits(&place.states));
        untils.push(place.until.map(Timestamp::as_micros));
    }
    if keys.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO unique_jobs (key, job, states, until)
         SELECT * FROM unnest($1::bytea[], $2::uuid[], $3::bigint[], $4::bigint[])",
    )
    .bind(keys)
    .bind(jobs)
    .bind(states)
    .bind(untils)
    .execute(connection)
    .await?;
    Ok(())
}

fn as_bytes(keys: &BTreeSet<[u8; 32]>) -> Vec<&[u8]> {
    keys.iter().map(<[u8; 32]>::as_slice).collect()
}
