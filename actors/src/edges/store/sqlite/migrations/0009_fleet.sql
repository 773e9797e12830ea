-- What nodes are and have, beside the labels that were always here: JSON, and the newest form of what is stored that they read.
ALTER TABLE sessions ADD COLUMN description TEXT;
ALTER TABLE sessions ADD COLUMN reads INTEGER NOT NULL DEFAULT 0;

-- What a node must have to run the jobs of a queue: NAME=VALUE, sorted, with commas between them.
ALTER TABLE queues ADD COLUMN labels TEXT;

-- What nodes were told to do. `action` is JSON; `done` and `outcome` are there when it has ended.
CREATE TABLE commands (
    id BLOB PRIMARY KEY,
    node TEXT NOT NULL,
    action TEXT NOT NULL,
    by TEXT NOT NULL,
    ordered_at INTEGER NOT NULL,
    valid_until INTEGER NOT NULL,
    ended_at INTEGER,
    done INTEGER,
    outcome TEXT
) STRICT, WITHOUT ROWID;

CREATE INDEX commands_waiting ON commands (node, ordered_at) WHERE ended_at IS NULL;
CREATE INDEX commands_by_age ON commands (ordered_at);

-- Who has done what. Rows are added, and deleted when they are old; never changed.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE,
    at INTEGER NOT NULL,
    by TEXT NOT NULL,
    role TEXT,
    node TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    detail TEXT,
    outcome TEXT NOT NULL
) STRICT;
