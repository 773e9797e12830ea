-- The cron table. `definition` and `firings` are JSON; an entry waits for the time `due_at`, whose job is stored at `fires_at`.
CREATE TABLE cron (
    name text PRIMARY KEY,
    source text NOT NULL,
    definition text NOT NULL,
    set_by text NOT NULL,
    revision bigint NOT NULL,
    paused_at bigint,
    due_at bigint,
    fires_at bigint,
    last_job uuid,
    fired bigint NOT NULL,
    skipped bigint NOT NULL,
    missed bigint NOT NULL,
    firings text NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE INDEX cron_firing ON cron (fires_at) WHERE fires_at IS NOT NULL;
