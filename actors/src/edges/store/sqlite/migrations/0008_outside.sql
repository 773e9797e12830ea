-- Events of other programs that were dealt with, by their ids: each counts once.
CREATE TABLE inbox (
    number INTEGER PRIMARY KEY,
    event BLOB NOT NULL UNIQUE,
    job BLOB NOT NULL,
    producer TEXT NOT NULL,
    occurred_at INTEGER NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

-- Attempts that are with workers outside, each with when it ends unless something is heard of it. Apart from the jobs, so that
-- what keeps one alive rewrites none of those. A row whose token is not the job's is of an attempt that has ended.
CREATE TABLE outside_attempts (
    job BLOB PRIMARY KEY,
    token INTEGER NOT NULL,
    lapses_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX outside_attempts_by_time ON outside_attempts (lapses_at);

-- Jobs that wait for a handler are released when workers outside serve their queue.
CREATE INDEX jobs_held_by_queue ON jobs (queue) WHERE state = 0;
