-- What runs say of themselves: one row for each that has said anything, with how far it is. Apart from the jobs, so that
-- saying so rewrites none of those; with room for the versions of a row beside it.
CREATE TABLE attempt_reports (
    job uuid NOT NULL,
    token bigint NOT NULL,
    attempt integer NOT NULL,
    fraction double precision,
    message text,
    progressed_at bigint,
    PRIMARY KEY (job, token)
) WITH (fillfactor = 50);

-- The lines of their logs. Numbers that are missing are lines that were dropped.
CREATE TABLE attempt_log (
    job uuid NOT NULL,
    token bigint NOT NULL,
    number bigint NOT NULL,
    at bigint NOT NULL,
    level smallint NOT NULL,
    text text NOT NULL,
    PRIMARY KEY (job, token, number)
);

-- How far the run is, JSON; for events that tell of it.
ALTER TABLE events ADD COLUMN progress text;
