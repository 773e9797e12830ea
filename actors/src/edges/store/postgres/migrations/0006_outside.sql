-- Events of other programs that were dealt with, by their ids: each counts once.
CREATE TABLE inbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event uuid NOT NULL UNIQUE,
    job uuid NOT NULL,
    producer text NOT NULL,
    occurred_at bigint NOT NULL,
    received_at bigint NOT NULL
);

-- Attempts that are with workers outside, each with when it ends unless something is heard of it. Apart from the jobs, so that
-- what keeps one alive rewrites none of those. A row whose token is not the job's is of an attempt that has ended. It is changed
-- only by who holds the lock of the job's row.
CREATE TABLE outside_attempts (
    job uuid PRIMARY KEY,
    token bigint NOT NULL,
    lapses_at bigint NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 1000);

CREATE INDEX outside_attempts_by_time ON outside_attempts (lapses_at);

-- Jobs that wait for a handler are released when workers outside serve their queue.
CREATE INDEX jobs_held_by_queue ON jobs (queue) WHERE state = 0;
