-- Signals that were sent to jobs, in the order of their numbers. `value` is JSON. They stay until a run acknowledges them, and
-- then for a while; all go with their job.
CREATE TABLE job_signals (
    job BLOB NOT NULL,
    number INTEGER NOT NULL,
    id BLOB NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    -- The last attempt that has taken it.
    taken_by INTEGER,
    taken_at INTEGER,
    acknowledged_at INTEGER,
    PRIMARY KEY (job, number),
    UNIQUE (job, id)
) STRICT, WITHOUT ROWID;

-- What runs show of themselves, JSON.
ALTER TABLE attempt_reports ADD COLUMN published TEXT;
ALTER TABLE attempt_reports ADD COLUMN published_at INTEGER;
