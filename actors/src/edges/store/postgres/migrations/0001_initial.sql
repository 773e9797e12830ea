-- Ids are UUIDs, times microseconds since 1970 (UTC), states and event types the numbers that `transition/code.rs` has.
-- JSON is text: it is checked before it comes here, and goes out as it came.

CREATE SEQUENCE job_sequence;
-- Tokens are drawn under the lock of the job's row, so those of one job only grow.
CREATE SEQUENCE lease_token;
-- Drawn after the rows of all jobs concerned are locked: the batches of one job are in the order of its changes.
CREATE SEQUENCE event_batch;

-- What changes of a job. Each change writes a new version of the row and of its entry in each index, so both are narrow.
CREATE TABLE jobs (
    id uuid PRIMARY KEY,
    sequence bigint NOT NULL,
    type text NOT NULL,
    queue text NOT NULL,
    state smallint NOT NULL,
    priority smallint NOT NULL DEFAULT 0,
    attempt integer NOT NULL DEFAULT 0,
    max_attempts bigint NOT NULL,
    timeout bigint NOT NULL,
    token bigint NOT NULL DEFAULT 0,
    session uuid,
    wait_reason text,
    last_error text,
    result text,
    correlation_id uuid NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    scheduled_at bigint NOT NULL,
    claimed_at bigint,
    started_at bigint,
    finished_at bigint,
    cancel_requested_at bigint,
    -- How often it was claimed, and whether a run ever began: the first of each is told in the log.
    claims integer NOT NULL DEFAULT 0,
    was_started boolean NOT NULL DEFAULT false,
    -- Attempts that died with their node, for the quarantine.
    deaths integer NOT NULL DEFAULT 0,
    -- For limits by key.
    partition_key text
) WITH (
    -- The versions of a job that follow its first fit beside it, which saves a record in the server's log for each.
    fillfactor = 50,
    autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0
);

CREATE INDEX jobs_available ON jobs (queue, priority DESC, scheduled_at, sequence) WHERE state = 2;
CREATE INDEX jobs_due ON jobs (scheduled_at) WHERE state IN (1, 4);
CREATE INDEX jobs_held ON jobs (type) WHERE state = 0;
CREATE INDEX jobs_executing ON jobs (session) WHERE state = 3;
CREATE INDEX jobs_finished ON jobs (state, finished_at) WHERE state IN (5, 6, 7);
-- Of those that run there are few, which a list sorts.
CREATE INDEX jobs_by_state ON jobs (state, sequence) WHERE state <> 3;

-- What never changes of a job, written once.
CREATE TABLE job_bodies (
    id uuid PRIMARY KEY,
    sequence bigint NOT NULL UNIQUE,
    type text NOT NULL,
    queue text NOT NULL,
    payload text NOT NULL,
    metadata text,
    document text,
    fingerprint bytea NOT NULL,
    created_event_id uuid NOT NULL,
    replay_of uuid,
    -- For jobs submitted with an Idempotency-Key header.
    idempotency_key text,
    -- A JSON array.
    tags text
);

-- Jobs by their tags.
CREATE TABLE job_tags (
    tag text NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (tag, sequence)
);

-- What was answered to requests with a key. `answer` is JSON.
CREATE TABLE idempotency_keys (
    scope text NOT NULL,
    key text NOT NULL,
    fingerprint bytea NOT NULL,
    answer text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (scope, key)
);

CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);

CREATE INDEX job_bodies_by_queue ON job_bodies (queue, sequence);
CREATE INDEX job_bodies_by_type ON job_bodies (type, sequence);

CREATE TABLE attempts (
    job uuid NOT NULL,
    number integer NOT NULL,
    token bigint NOT NULL,
    outcome smallint NOT NULL,
    node text NOT NULL,
    claimed_at bigint NOT NULL,
    started_at bigint,
    finished_at bigint NOT NULL,
    error text,
    PRIMARY KEY (job, token)
);

-- The events of one transaction. The sequencer gives it its place in the log once it is committed; the position of an
-- event is `first_position + number`.
CREATE TABLE event_batches (
    batch bigint PRIMARY KEY,
    size integer NOT NULL,
    first_position bigint,
    occurred_at bigint NOT NULL,
    instance text NOT NULL,
    version text NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

CREATE UNIQUE INDEX event_batches_by_position ON event_batches (first_position);
CREATE INDEX event_batches_unplaced ON event_batches (batch) WHERE first_position IS NULL;

CREATE TABLE events (
    batch bigint NOT NULL,
    number integer NOT NULL,
    id uuid NOT NULL,
    type smallint NOT NULL,
    job uuid NOT NULL,
    job_type text NOT NULL,
    queue text NOT NULL,
    job_created_at bigint NOT NULL,
    correlation_id uuid NOT NULL,
    attempt integer NOT NULL,
    error text,
    duration bigint,
    PRIMARY KEY (batch, number)
);

CREATE INDEX events_by_job ON events (job, batch, number);

-- One row: the newest place. Whoever gives places holds its lock.
CREATE TABLE log (
    epoch bigint NOT NULL,
    position bigint NOT NULL
);

INSERT INTO log (epoch, position) VALUES (1, 0);

-- Counted by what each transaction adds; in shards, so that transactions do not wait for one another. Those of others,
-- which may stay open, count in shards below zero, each its own; the sequencer adds them to shard 0.
CREATE TABLE totals (
    queue text NOT NULL,
    state smallint NOT NULL,
    shard bigint NOT NULL,
    count bigint NOT NULL,
    last_at bigint NOT NULL,
    PRIMARY KEY (queue, state, shard)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE queues (
    name text PRIMARY KEY,
    concurrency bigint NOT NULL,
    max_backlog bigint NOT NULL,
    paused_at bigint,
    -- Jobs that may be with all nodes together at most; claims that are to keep to it hold the row's lock.
    max_running bigint,
    updated_at bigint NOT NULL
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    node text NOT NULL,
    version text NOT NULL,
    process bigint NOT NULL,
    labels text,
    opened_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    closed_at bigint
) WITH (fillfactor = 50);

CREATE INDEX sessions_open ON sessions (opened_at) WHERE closed_at IS NULL;

CREATE TABLE leaders (
    name text PRIMARY KEY,
    session uuid NOT NULL,
    token bigint NOT NULL,
    expires_at bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE settings (
    key text PRIMARY KEY,
    value text NOT NULL
);

CREATE TABLE job_types (
    name text PRIMARY KEY,
    description text NOT NULL,
    queue text NOT NULL,
    payload_schema text NOT NULL,
    result_schema text NOT NULL,
    max_attempts bigint NOT NULL,
    timeout bigint NOT NULL,
    updated_at bigint NOT NULL
);
