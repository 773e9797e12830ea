-- What runs say of themselves: one row for each that has said anything, with how far it is. Apart from the jobs, so that
-- saying so rewrites none of those.
CREATE TABLE attempt_reports (
    job BLOB NOT NULL,
    token INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    fraction REAL,
    message TEXT,
    progressed_at INTEGER,
    PRIMARY KEY (job, token)
) STRICT, WITHOUT ROWID;

-- The lines of their logs. Numbers that are missing are lines that were dropped.
CREATE TABLE attempt_log (
    job BLOB NOT NULL,
    token INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    level INTEGER NOT NULL,
    text TEXT NOT NULL,
    PRIMARY KEY (job, token, number)
) STRICT, WITHOUT ROWID;

-- How far the run is, JSON; for events that tell of it.
ALTER TABLE events ADD COLUMN progress TEXT;
