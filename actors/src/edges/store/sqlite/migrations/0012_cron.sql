-- The cron table. `definition` and `firings` are JSON; an entry waits for the time `due_at`, whose job is stored at `fires_at`.
CREATE TABLE cron (
    name TEXT PRIMARY KEY,
    source TEXT NOT NULL,
    definition TEXT NOT NULL,
    set_by TEXT NOT NULL,
    revision INTEGER NOT NULL,
    paused_at INTEGER,
    due_at INTEGER,
    fires_at INTEGER,
    last_job BLOB,
    fired INTEGER NOT NULL,
    skipped INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    firings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX cron_firing ON cron (fires_at) WHERE fires_at IS NOT NULL;
