-- From each older version to the next; what is new altogether comes with the schema.

-- name: from_1
ALTER TABLE tree ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE task ADD COLUMN policy TEXT NOT NULL DEFAULT '{}'

-- name: from_2
ALTER TABLE tree ADD COLUMN request TEXT;
ALTER TABLE tree ADD COLUMN origin TEXT
