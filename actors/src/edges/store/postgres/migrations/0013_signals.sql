-- Signals that were sent to jobs, in the order of their numbers. `value` is JSON. They stay until a run acknowledges them, and
-- then for a while; all go with their job.
CREATE TABLE job_signals (
    job uuid NOT NULL,
    number integer NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    value text NOT NULL,
    by text NOT NULL,
    at bigint NOT NULL,
    -- The last attempt that has taken it.
    taken_by integer,
    taken_at bigint,
    acknowledged_at bigint,
    PRIMARY KEY (job, number),
    UNIQUE (job, id)
);

-- What runs show of themselves, JSON.
ALTER TABLE attempt_reports ADD COLUMN published text;
ALTER TABLE attempt_reports ADD COLUMN published_at bigint;
