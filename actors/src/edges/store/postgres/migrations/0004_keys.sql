-- Keys are in the order of their bytes, whatever the database's language.
ALTER TABLE jobs ALTER COLUMN partition_key TYPE text COLLATE "C";

-- Jobs with a key are claimed in turns of their keys, so they have an index of their own; the one of the others keeps its
-- name and its size.
DROP INDEX jobs_available;
CREATE INDEX jobs_available ON jobs (queue, priority DESC, scheduled_at, sequence)
    WHERE state = 2 AND parked IS NULL AND partition_key IS NULL;
CREATE INDEX jobs_available_by_key ON jobs (queue, partition_key, priority DESC, scheduled_at, sequence)
    WHERE state = 2 AND parked IS NULL AND partition_key IS NOT NULL;
-- By age. Its condition is worded so that nothing takes it for the one above.
CREATE INDEX jobs_available_with_key ON jobs (queue, scheduled_at)
    WHERE state = 2 AND parked IS NULL AND partition_key <> '';
CREATE INDEX jobs_executing_by_key ON jobs (queue, partition_key) WHERE state = 3 AND partition_key IS NOT NULL;

-- Limits over all nodes, and the key that was served last: '' for jobs without one. It changes with each claim.
ALTER TABLE queues
    ADD COLUMN max_running_per_key bigint,
    ADD COLUMN rate text,
    ADD COLUMN rate_per_key text,
    ADD COLUMN last_key text COLLATE "C" NOT NULL DEFAULT '',
    SET (fillfactor = 50);

-- What was claimed in each slice of time, by its beginning, for rates: '' for the whole queue.
CREATE TABLE claim_counts (
    queue text NOT NULL,
    partition_key text COLLATE "C" NOT NULL,
    slice bigint NOT NULL,
    claims bigint NOT NULL,
    -- When no rate looks at it any more.
    expires_at bigint NOT NULL,
    PRIMARY KEY (queue, partition_key, slice)
) WITH (fillfactor = 50, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0);

CREATE INDEX claim_counts_by_age ON claim_counts (expires_at);
