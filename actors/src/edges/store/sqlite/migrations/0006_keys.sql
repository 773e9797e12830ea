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

-- Limits over all nodes, and the key that was served last: '' for jobs without one.
ALTER TABLE queues ADD COLUMN max_running_per_key INTEGER;
ALTER TABLE queues ADD COLUMN rate TEXT;
ALTER TABLE queues ADD COLUMN rate_per_key TEXT;
ALTER TABLE queues ADD COLUMN last_key TEXT NOT NULL DEFAULT '';

-- What was claimed in each slice of time, by its beginning, for rates: '' for the whole queue.
CREATE TABLE claim_counts (
    queue TEXT NOT NULL,
    partition_key TEXT NOT NULL,
    slice INTEGER NOT NULL,
    claims INTEGER NOT NULL,
    -- When no rate looks at it any more.
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (queue, partition_key, slice)
) STRICT, WITHOUT ROWID;

CREATE INDEX claim_counts_by_age ON claim_counts (expires_at);
