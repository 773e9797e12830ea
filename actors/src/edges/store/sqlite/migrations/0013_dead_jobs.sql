-- What a dead job died of: 16 hexadecimal digits. Found out later for those that died before there was this column.
ALTER TABLE jobs ADD COLUMN cause TEXT;

CREATE INDEX jobs_by_cause ON jobs (cause, sequence, queue, type) WHERE state = 7 AND cause IS NOT NULL;
CREATE INDEX jobs_dead ON jobs (type, queue, cause, finished_at) WHERE state = 7 AND cause IS NOT NULL;
CREATE INDEX jobs_without_cause ON jobs (sequence) WHERE state = 7 AND cause IS NULL;

-- What was changed when a finished job was run again. `patch` is a JSON merge patch. It stays until both jobs are deleted.
CREATE TABLE job_edits (
    replay BLOB PRIMARY KEY,
    original BLOB NOT NULL,
    patch TEXT,
    reason TEXT,
    by TEXT NOT NULL,
    at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX job_edits_by_original ON job_edits (original, at);

-- Bulk operations. `record` is JSON.
CREATE TABLE bulk_operations (
    id BLOB PRIMARY KEY,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX bulk_operations_running ON bulk_operations (started_at) WHERE ended_at IS NULL;
CREATE INDEX bulk_operations_by_age ON bulk_operations (started_at);
