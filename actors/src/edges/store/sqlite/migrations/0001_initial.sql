-- Ids are UUIDs as 16 bytes, times microseconds since 1970 (UTC), states and event types the numbers that `code.rs` has.

CREATE TABLE jobs (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    type TEXT NOT NULL,
    queue TEXT NOT NULL,
    state INTEGER NOT NULL,
    priority INTEGER NOT NULL DEFAULT 0,
    payload TEXT NOT NULL,
    metadata TEXT,
    document TEXT,
    fingerprint BLOB NOT NULL,
    result TEXT,
    attempt INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    timeout INTEGER NOT NULL,
    token INTEGER NOT NULL DEFAULT 0,
    session BLOB,
    wait_reason TEXT,
    last_error TEXT,
    correlation_id BLOB NOT NULL,
    created_event_id BLOB NOT NULL,
    replay_of BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    scheduled_at INTEGER NOT NULL,
    claimed_at INTEGER,
    started_at INTEGER,
    finished_at INTEGER,
    cancel_requested_at INTEGER,
    -- How often it was claimed, and whether a run ever began: the first of each is told in the log.
    claims INTEGER NOT NULL DEFAULT 0,
    was_started INTEGER NOT NULL DEFAULT 0,
    -- Attempts that died with their node, for the quarantine.
    deaths INTEGER NOT NULL DEFAULT 0,
    -- For jobs submitted with an Idempotency-Key header.
    idempotency_key TEXT,
    -- For limits by key.
    partition_key TEXT,
    tags TEXT
) STRICT;

CREATE INDEX jobs_available ON jobs (queue, priority DESC, scheduled_at, sequence) WHERE state = 2;
CREATE INDEX jobs_due ON jobs (scheduled_at) WHERE state IN (1, 4);
CREATE INDEX jobs_held ON jobs (type) WHERE state = 0;
CREATE INDEX jobs_executing ON jobs (session) WHERE state = 3;
CREATE INDEX jobs_finished ON jobs (state, finished_at) WHERE state IN (5, 6, 7);
CREATE INDEX jobs_by_state ON jobs (state, sequence);
CREATE INDEX jobs_by_queue ON jobs (queue, sequence);
CREATE INDEX jobs_by_type ON jobs (type, sequence);

CREATE TABLE attempts (
    job BLOB NOT NULL,
    number INTEGER NOT NULL,
    token INTEGER NOT NULL,
    outcome INTEGER NOT NULL,
    node TEXT NOT NULL,
    claimed_at INTEGER NOT NULL,
    started_at INTEGER,
    finished_at INTEGER NOT NULL,
    error TEXT,
    PRIMARY KEY (job, token)
) STRICT, WITHOUT ROWID;

CREATE TABLE events (
    position INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    type INTEGER NOT NULL,
    occurred_at INTEGER NOT NULL,
    job BLOB NOT NULL,
    job_type TEXT NOT NULL,
    queue TEXT NOT NULL,
    job_created_at INTEGER NOT NULL,
    correlation_id BLOB NOT NULL,
    attempt INTEGER NOT NULL,
    error TEXT,
    duration INTEGER,
    instance TEXT NOT NULL,
    version TEXT NOT NULL
) STRICT;

CREATE INDEX events_by_job ON events (job, position);

CREATE TABLE totals (
    queue TEXT NOT NULL,
    state INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) STRICT, WITHOUT ROWID;

CREATE TABLE queues (
    name TEXT PRIMARY KEY,
    concurrency INTEGER NOT NULL,
    max_backlog INTEGER NOT NULL,
    paused_at INTEGER,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    node TEXT NOT NULL,
    version TEXT NOT NULL,
    process INTEGER NOT NULL,
    labels TEXT,
    opened_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    closed_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_open ON sessions (seen_at) WHERE closed_at IS NULL;

CREATE TABLE settings (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE job_types (
    name TEXT PRIMARY KEY,
    description TEXT NOT NULL,
    queue TEXT NOT NULL,
    payload_schema TEXT NOT NULL,
    result_schema TEXT NOT NULL,
    max_attempts INTEGER NOT NULL,
    timeout INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO settings (key, value) VALUES ('epoch', '1');
