-- What nodes are and have, beside the labels that were always here: JSON, and the newest form of what is stored that they read.
ALTER TABLE sessions ADD COLUMN description text;
ALTER TABLE sessions ADD COLUMN reads bigint NOT NULL DEFAULT 0;

-- What a node must have to run the jobs of a queue: NAME=VALUE, sorted, with commas between them.
ALTER TABLE queues ADD COLUMN labels text;

-- What nodes were told to do. `action` is JSON; `done` and `outcome` are there when it has ended.
CREATE TABLE commands (
    id uuid PRIMARY KEY,
    node text NOT NULL,
    action text NOT NULL,
    by text NOT NULL,
    ordered_at bigint NOT NULL,
    valid_until bigint NOT NULL,
    ended_at bigint,
    done boolean,
    outcome text
);

CREATE INDEX commands_waiting ON commands (node, ordered_at) WHERE ended_at IS NULL;
CREATE INDEX commands_by_age ON commands (ordered_at);

-- Who has done what. Rows are added, and deleted when they are old; never changed.
CREATE TABLE audit (
    sequence bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    at bigint NOT NULL,
    by text NOT NULL,
    role text,
    node text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail text,
    outcome text NOT NULL
);
