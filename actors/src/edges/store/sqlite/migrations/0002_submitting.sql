-- Jobs by their tags, newest last. `jobs.tags` holds the same as a JSON array.
CREATE TABLE job_tags (
    tag TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    PRIMARY KEY (tag, sequence)
) STRICT, WITHOUT ROWID;
