-- Which job has the place of its kind. A row outlives the time for which it means anything: whether its job has the place is
-- seen from the job's state, and from the time, when somebody wants it.
CREATE TABLE unique_jobs (
    -- SHA-256 of what makes the kind.
    key bytea PRIMARY KEY,
    -- Who has taken it last. Nil while the transaction that has made the row decides.
    job uuid NOT NULL,
    -- The states in which the job has it: a bit each.
    states bigint NOT NULL,
    -- When it has it no more, whatever its state.
    until bigint
) WITH (fillfactor = 50);

CREATE INDEX unique_jobs_by_job ON unique_jobs (job);
