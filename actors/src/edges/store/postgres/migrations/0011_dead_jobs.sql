-- What a dead job died of: 16 hexadecimal digits. Found out later for those that died before there was this column.
ALTER TABLE jobs ADD COLUMN cause text COLLATE "C";

CREATE INDEX jobs_by_cause ON jobs (cause, sequence) WHERE state = 7 AND cause IS NOT NULL;
-- In the order of their bytes, whatever the database's language: groups are gone through by their names.
CREATE INDEX jobs_dead ON jobs (type COLLATE "C", queue COLLATE "C", cause, finished_at)
    WHERE state = 7 AND cause IS NOT NULL;
CREATE INDEX jobs_without_cause ON jobs (sequence) WHERE state = 7 AND cause IS NULL;

-- What was changed when a finished job was run again. `patch` is a JSON merge patch. It stays until both jobs are deleted.
CREATE TABLE job_edits (
    replay uuid PRIMARY KEY,
    original uuid NOT NULL,
    patch text,
    reason text,
    by text NOT NULL,
    at bigint NOT NULL
);

CREATE INDEX job_edits_by_original ON job_edits (original, at);

-- Bulk operations. `record` is JSON. Whoever goes on with one holds the lock of its row.
CREATE TABLE bulk_operations (
    id uuid PRIMARY KEY,
    started_at bigint NOT NULL,
    ended_at bigint,
    record text NOT NULL
) WITH (fillfactor = 50);

CREATE INDEX bulk_operations_running ON bulk_operations (started_at) WHERE ended_at IS NULL;
CREATE INDEX bulk_operations_by_age ON bulk_operations (started_at);
