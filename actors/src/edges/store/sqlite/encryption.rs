//! Texts with encrypted values.

use rusqlite::{Connection, params};

use super::{bulk, cron, jobs::id, transaction::Transaction};
use crate::{
    edges::store::{
        Outcome,
        encryption::{Resealed, SealedPage, SealedPlace, SealedText},
        transition::{
            code::state_of,
            encryption::{resealed_bulk, resealed_cron},
        },
    },
    encryption::envelope::MARK,
};

pub(super) fn sealed(connection: &Connection, after: u64, limit: u32) -> rusqlite::Result<SealedPage> {
    let mut find = connection.prepare_cached(
        "SELECT sequence, id, type, state,
                CASE WHEN instr(payload, ?3) > 0 THEN payload END,
                CASE WHEN instr(result, ?3) > 0 THEN result END
         FROM jobs WHERE sequence > ?1 ORDER BY sequence LIMIT ?2",
    )?;
    let mut rows = find.query(params![after, limit, MARK])?;
    let (mut page, mut bytes, mut last) = (SealedPage::default(), 0, None);
    while let Some(row) = rows.next()? {
        let (job, job_type, state) = (id(row, 1)?, row.get::<_, String>(2)?, state_of(row.get(3)?));
        let texts: [(SealedPlace, Option<String>); 2] =
            [(SealedPlace::Payload(job), row.get(4)?), (SealedPlace::Result(job), row.get(5)?)];
        for (place, text) in texts {
            let Some(text) = text else { continue };
            bytes += text.len();
            page.texts.push(SealedText { place, job_type: job_type.clone(), state, text });
        }
        page.looked_at += 1;
        last = Some(row.get::<_, u64>(0)?);
        if bytes >= SealedPage::ENOUGH {
            page.next = last;
            return Ok(page);
        }
    }
    page.next = last.filter(|_| page.looked_at >= limit);
    Ok(page)
}

/// Exchanges each text that is still the one that was found.
pub(super) fn reseal(tx: &mut Transaction<'_>, texts: &[Resealed]) -> rusqlite::Result<Outcome> {
    tx.flush()?;
    let mut changed = 0;
    let connection = tx.connection;
    for Resealed { place, old, new } in texts {
        changed += match place {
            SealedPlace::Payload(job) => connection
                .prepare_cached("UPDATE jobs SET payload = ?3 WHERE id = ?1 AND payload = ?2")?
                .execute(params![job.as_bytes(), old, new])?,
            SealedPlace::Result(job) => connection
                .prepare_cached("UPDATE jobs SET result = ?3 WHERE id = ?1 AND result = ?2")?
                .execute(params![job.as_bytes(), old, new])?,
            SealedPlace::Cron(name) => match resealed_cron(cron::find(connection, name)?, old, new) {
                Some(entry) => {
                    cron::write(connection, &entry)?;
                    1
                }
                None => 0,
            },
            SealedPlace::Bulk(id) => match resealed_bulk(bulk::find(connection, *id)?, old, new) {
                Some(record) => {
                    bulk::put(connection, &record)?;
                    1
                }
                None => 0,
            },
        };
    }
    Ok(Outcome::Resealed { changed: u32::try_from(changed).unwrap_or(u32::MAX) })
}
