-- Workflows: steps, each a job, that wait for each other. States are the places in their lists of states.
CREATE TABLE workflows (
    sequence INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    name TEXT,
    state INTEGER NOT NULL,
    fingerprint BLOB NOT NULL,
    -- Steps in each state; and those that have ended otherwise than completed, and keep others from running.
    waiting INTEGER NOT NULL,
    active INTEGER NOT NULL,
    completed INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    blocking INTEGER NOT NULL,
    -- The job that runs when it has ended.
    on_end BLOB,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    finished_at INTEGER
) STRICT;

CREATE INDEX workflows_by_state ON workflows (state, sequence);
CREATE INDEX workflows_by_name ON workflows (name, sequence) WHERE name IS NOT NULL;
CREATE INDEX workflows_finished ON workflows (state, finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX workflows_by_end ON workflows (on_end) WHERE on_end IS NOT NULL;

CREATE TABLE workflow_steps (
    workflow BLOB NOT NULL,
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    job BLOB NOT NULL UNIQUE,
    state INTEGER NOT NULL,
    -- Steps that have not counted it off yet.
    open INTEGER NOT NULL,
    on_failure INTEGER NOT NULL,
    -- Steps that wait for it.
    followers INTEGER NOT NULL,
    PRIMARY KEY (workflow, number),
    UNIQUE (workflow, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX workflow_steps_by_state ON workflow_steps (workflow, state, number);
-- What a new leader looks through: steps that have not ended, or that nobody knows of yet.
CREATE INDEX workflow_steps_open ON workflow_steps (job) WHERE state IN (0, 1);

-- Which step waits for which, by their numbers.
CREATE TABLE workflow_edges (
    workflow BLOB NOT NULL,
    earlier INTEGER NOT NULL,
    later INTEGER NOT NULL,
    PRIMARY KEY (workflow, earlier, later)
) STRICT, WITHOUT ROWID;

CREATE INDEX workflow_edges_back ON workflow_edges (workflow, later, earlier);

-- The workflow for which a job is kept. It is deleted when that is forgotten, and waits for nothing but its steps.
ALTER TABLE jobs ADD COLUMN workflow BLOB;
CREATE INDEX jobs_by_workflow ON jobs (workflow) WHERE workflow IS NOT NULL;

DROP INDEX jobs_finished;
CREATE INDEX jobs_finished ON jobs (state, finished_at) WHERE state IN (5, 6, 7) AND workflow IS NULL;
DROP INDEX jobs_held;
CREATE INDEX jobs_held ON jobs (type) WHERE state = 0 AND workflow IS NULL;
DROP INDEX jobs_held_by_queue;
CREATE INDEX jobs_held_by_queue ON jobs (queue) WHERE state = 0 AND workflow IS NULL;
