-- The store on SQLite. Events are the truth; every other table can be rebuilt from them.
-- Times are RFC 3339 UTC text. `task.num` is tree.num * 2^20 + the task's number in its tree.

CREATE TABLE IF NOT EXISTS stored_events (
    originator_id      TEXT    NOT NULL,
    originator_version INTEGER NOT NULL,
    topic              TEXT    NOT NULL,
    state              BLOB    NOT NULL,
    body_hash          BLOB    NOT NULL,
    hash               BLOB    NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);

CREATE TABLE IF NOT EXISTS blob (
    hash TEXT PRIMARY KEY,
    data BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS tree (
    num          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    uid          TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    owner        TEXT,
    phase        TEXT    NOT NULL,
    status       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    engine       TEXT    NOT NULL DEFAULT '',
    epoch        INTEGER NOT NULL DEFAULT 0,
    released     INTEGER NOT NULL DEFAULT 1,
    created_at   TEXT    NOT NULL,
    updated_at   TEXT    NOT NULL,
    completed_at TEXT,
    paused       INTEGER NOT NULL DEFAULT 0,
    request      TEXT,
    origin       TEXT
);

CREATE UNIQUE INDEX IF NOT EXISTS tree_request ON tree (request) WHERE request IS NOT NULL;

CREATE INDEX IF NOT EXISTS tree_owner ON tree (owner, num);

CREATE INDEX IF NOT EXISTS tree_open ON tree (num) WHERE phase = 'submitted';

CREATE TABLE IF NOT EXISTS task (
    num          INTEGER PRIMARY KEY,
    id           TEXT    NOT NULL UNIQUE,
    key          TEXT    NOT NULL,
    name         TEXT    NOT NULL,
    parent       TEXT,
    priority     INTEGER NOT NULL,
    dependencies TEXT    NOT NULL,
    inputs       TEXT    NOT NULL,
    params       TEXT    NOT NULL,
    schemas      TEXT    NOT NULL,
    created_at   TEXT    NOT NULL,
    policy       TEXT    NOT NULL DEFAULT '{}'
);

CREATE TABLE IF NOT EXISTS task_state (
    num          INTEGER PRIMARY KEY,
    status       TEXT    NOT NULL,
    attempt      INTEGER NOT NULL,
    generation   INTEGER NOT NULL,
    progress     REAL    NOT NULL,
    message      TEXT    NOT NULL,
    started_at   TEXT,
    completed_at TEXT,
    ended        INTEGER NOT NULL
);

CREATE TABLE IF NOT EXISTS attempt (
    tree         TEXT    NOT NULL,
    task         TEXT    NOT NULL,
    generation   INTEGER NOT NULL,
    attempt      INTEGER NOT NULL,
    started_at   TEXT    NOT NULL,
    started      INTEGER NOT NULL,
    ended_at     TEXT,
    outcome      TEXT,
    PRIMARY KEY (tree, task, generation, attempt)
) WITHOUT ROWID;

-- Who holds a place under a concurrency key; `task` is task.num.
CREATE TABLE IF NOT EXISTS slot (
    task INTEGER PRIMARY KEY,
    key  TEXT    NOT NULL
);

CREATE INDEX IF NOT EXISTS slot_key ON slot (key);

-- Commands for trees that another process drives, and what came of them.
CREATE TABLE IF NOT EXISTS inbox (
    id          TEXT PRIMARY KEY,
    tree        TEXT NOT NULL,
    name        TEXT NOT NULL,
    arguments   TEXT NOT NULL,
    "by"        TEXT NOT NULL,
    at          TEXT NOT NULL,
    outcome     TEXT,
    answered_at TEXT
);

CREATE INDEX IF NOT EXISTS inbox_open ON inbox (tree) WHERE outcome IS NULL;

-- Access to the server: hashes of tokens that it gave away.
CREATE TABLE IF NOT EXISTS token (
    id         TEXT PRIMARY KEY,
    hash       TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    scopes     TEXT NOT NULL,
    name       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    expires_at TEXT,
    revoked_at TEXT
);

-- Whom to tell of a tree's events, and up to which version they were told. `made` is the request
-- that makes the tree where it is not there yet. `due` and `leased` are seconds since the epoch.
CREATE TABLE IF NOT EXISTS webhook (
    id          TEXT    PRIMARY KEY,
    tree        TEXT    NOT NULL,
    made        TEXT    NOT NULL,
    config      TEXT    NOT NULL,
    seen        INTEGER NOT NULL,
    attempts    INTEGER NOT NULL,
    missed      INTEGER NOT NULL,
    due         REAL    NOT NULL,
    leased      REAL    NOT NULL,
    holder      TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    problem     TEXT    NOT NULL,
    created_at  TEXT    NOT NULL
);

CREATE INDEX IF NOT EXISTS webhook_open ON webhook (tree) WHERE state = 'open';

CREATE VIEW IF NOT EXISTS events_readable AS
SELECT rowid AS position, originator_id AS tree, originator_version AS version, topic,
       CAST(state AS TEXT) AS state, lower(hex(hash)) AS hash
FROM stored_events;
