-- Edges (services outside) that jobs need: jobs of one that is tripped wait. `until` is when it counts as ready by itself.
CREATE TABLE edges (
    name TEXT PRIMARY KEY,
    tripped_at INTEGER,
    until INTEGER,
    reason TEXT,
    set_by TEXT NOT NULL,
    set_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The names of the edges that a job needs, sorted, with commas between them.
ALTER TABLE jobs ADD COLUMN needs TEXT;
-- Of an available job: the edge because of which claims need not look at it. It is found out after the edge was tripped, and
-- taken back after it is ready, by and by; what a claim may give is decided by `needs` alone.
ALTER TABLE jobs ADD COLUMN parked TEXT;

DROP INDEX jobs_available;
CREATE INDEX jobs_available ON jobs (queue, priority DESC, scheduled_at, sequence) WHERE state = 2 AND parked IS NULL;
CREATE INDEX jobs_needing ON jobs (needs) WHERE state = 2 AND parked IS NULL AND needs IS NOT NULL;
CREATE INDEX jobs_parked ON jobs (parked, priority DESC, scheduled_at, sequence) WHERE state = 2 AND parked IS NOT NULL;
