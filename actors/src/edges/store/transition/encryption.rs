//! What becomes of records whose encrypted part is exchanged, whatever keeps them.

use crate::edges::store::{cron::CronRecord, dead_jobs::BulkRecord};

/// The entry with another payload for its jobs, if it still has the one that was found. It is the same entry: its revision stays.
pub(crate) fn resealed_cron(entry: Option<CronRecord>, old: &str, new: &str) -> Option<CronRecord> {
    let mut entry = entry?;
    if serde_json::to_string(&entry.definition.job.payload).ok()? != old {
        return None;
    }
    entry.definition.job.payload = serde_json::from_str(new).ok()?;
    Some(entry)
}

/// The operation with another patch, if it still has the one that was found.
pub(crate) fn resealed_bulk(record: Option<BulkRecord>, old: &str, new: &str) -> Option<BulkRecord> {
    let record = record.filter(|record| record.patch.as_deref() == Some(old))?;
    Some(BulkRecord { patch: Some(new.to_owned()), ..record })
}
