//! Texts with encrypted values.

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{
    bulk,
    columns::{as_long, long},
    cron,
    transaction::Transaction,
};
use crate::{
    edges::store::{
        Operation, Outcome,
        encryption::{Resealed, SealedPage, SealedPlace, SealedText},
        transition::{
            code::state_of,
            encryption::{resealed_bulk, resealed_cron},
        },
    },
    encryption::envelope::MARK,
};

/// Jobs that are looked at in one statement: how large their results are is seen only then.
const AT_ONCE: u32 = 100;

/// The jobs of which an operation changes a text: they are locked with those of the others, in one order.
pub(super) fn concerned(operation: &Operation) -> impl Iterator<Item = Uuid> {
    let texts: &[Resealed] = match operation {
        Operation::Reseal(texts) => texts,
        _ => &[],
    };
    texts.iter().filter_map(|text| match &text.place {
        SealedPlace::Payload(job) | SealedPlace::Result(job) => Some(*job),
        SealedPlace::Cron(_) | SealedPlace::Bulk(_) => None,
    })
}

pub(super) async fn sealed(
    connection: &mut PgConnection,
    mut after: u64,
    limit: u32,
) -> sqlx::Result<SealedPage> {
    let (mut page, mut bytes) = (SealedPage::default(), 0);
    loop {
        let rows = AT_ONCE.min(limit - page.looked_at);
        let found = sqlx::query(
            "SELECT b.sequence, b.id, b.type, j.state,
                    CASE WHEN position($3 IN b.payload) > 0 THEN b.payload END AS payload,
                    CASE WHEN position($3 IN j.result) > 0 THEN j.result END AS result
             FROM (SELECT * FROM job_bodies WHERE sequence > $1 ORDER BY sequence LIMIT $2) b JOIN jobs j ON j.id = b.id
             ORDER BY b.sequence",
        )
        .bind(as_long(after))
        .bind(i64::from(rows))
        .bind(MARK)
        .fetch_all(&mut *connection)
        .await?;
        for row in &found {
            let (job, job_type, state): (Uuid, String, _) =
                (row.try_get("id")?, row.try_get("type")?, state_of(row.try_get::<i16, _>("state")?.into()));
            let texts: [(SealedPlace, Option<String>); 2] = [
                (SealedPlace::Payload(job), row.try_get("payload")?),
                (SealedPlace::Result(job), row.try_get("result")?),
            ];
            for (place, text) in texts {
                let Some(text) = text else { continue };
                bytes += text.len();
                page.texts.push(SealedText { place, job_type: job_type.clone(), state, text });
            }
            page.looked_at += 1;
            after = long(row, "sequence")?;
        }
        // A body whose job was just deleted is no row, so a page that is not full may not be the last one.
        if found.len() < rows as usize && !there_are_more(connection, after).await? {
            page.next = None;
            return Ok(page);
        }
        page.next = Some(after);
        if page.looked_at >= limit || bytes >= SealedPage::ENOUGH || found.is_empty() {
            return Ok(page);
        }
    }
}

async fn there_are_more(connection: &mut PgConnection, after: u64) -> sqlx::Result<bool> {
    let more = sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM job_bodies b JOIN jobs j ON j.id = b.id WHERE b.sequence > $1)",
    );
    more.bind(as_long(after)).fetch_one(connection).await
}

/// Exchanges each text that is still the one that was found. The jobs are locked already.
pub(super) async fn reseal(tx: &mut Transaction<'_>, texts: &[Resealed]) -> sqlx::Result<Outcome> {
    tx.flush().await?;
    let mut changed = 0;
    for Resealed { place, old, new } in texts {
        changed += match place {
            SealedPlace::Payload(job) => {
                let exchange = "UPDATE job_bodies SET payload = $3 WHERE id = $1 AND payload = $2";
                exchanged(tx.connection, exchange, *job, (old, new)).await?
            }
            SealedPlace::Result(job) => {
                let exchange = "UPDATE jobs SET result = $3 WHERE id = $1 AND result = $2";
                exchanged(tx.connection, exchange, *job, (old, new)).await?
            }
            SealedPlace::Cron(name) => {
                match resealed_cron(cron::hold(tx.connection, name).await?, old, new) {
                    Some(entry) => {
                        cron::write(tx.connection, &entry).await?;
                        1
                    }
                    None => 0,
                }
            }
            SealedPlace::Bulk(id) => match resealed_bulk(bulk::hold(tx.connection, *id).await?, old, new) {
                Some(record) => {
                    bulk::put(tx.connection, &record).await?;
                    1
                }
                None => 0,
            },
        };
    }
    Ok(Outcome::Resealed { changed: u32::try_from(changed).unwrap_or(u32::MAX) })
}

async fn exchanged(
    connection: &mut PgConnection,
    exchange: &'static str,
    job: Uuid,
    (old, new): (&str, &str),
) -> sqlx::Result<u64> {
    let done = sqlx::query(exchange).bind(job).bind(old).bind(new).execute(connection).await?;
    Ok(done.rows_affected())
}
