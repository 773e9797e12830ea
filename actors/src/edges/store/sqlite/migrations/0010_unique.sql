-- Which job has the place of its kind. A row outlives the time for which it means anything: whether its job has the place is
-- seen from the job's state, and from the time, when somebody wants it.
CREATE TABLE unique_jobs (
    -- SHA-256 of what makes the kind.
    key BLOB PRIMARY KEY,
    -- Who has taken it last.
    job BLOB NOT NULL,
    -- The states in which the job has it: a bit each.
    states INTEGER NOT NULL,
    -- When it has it no more, whatever its state.
    until INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX unique_jobs_by_job ON unique_jobs (job);
