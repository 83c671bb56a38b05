-- From each older version to the next. The functions come after the last step.

-- name: from_1
ALTER TABLE tree ADD COLUMN paused boolean NOT NULL DEFAULT false;
ALTER TABLE task ADD COLUMN policy text COLLATE "C" NOT NULL DEFAULT '{}';
CREATE TABLE slot (
    task bigint PRIMARY KEY,
    key  text   COLLATE "C" NOT NULL
);
CREATE INDEX slot_key ON slot (key);
CREATE TABLE inbox (
    id          text COLLATE "C" PRIMARY KEY,
    tree        text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    arguments   text COLLATE "C" NOT NULL,
    "by"        text COLLATE "C" NOT NULL,
    at          text COLLATE "C" NOT NULL,
    outcome     text COLLATE "C",
    answered_at timestamptz
);
CREATE INDEX inbox_open ON inbox (tree) WHERE outcome IS NULL;
CREATE TABLE lease (
    engine    text COLLATE "C" PRIMARY KEY,
    beat      timestamptz NOT NULL,
    executors text COLLATE "C" NOT NULL DEFAULT '[]'
) WITH (fillfactor = 50);
DROP FUNCTION apflow_append_all, apflow_append, apflow_states, apflow_events, apflow_task_num,
    apflow_tree_num

-- name: from_2
ALTER TABLE tree ADD COLUMN request text COLLATE "C", ADD COLUMN origin text COLLATE "C";
CREATE UNIQUE INDEX tree_request ON tree (request) WHERE request IS NOT NULL;
CREATE INDEX tree_owner ON tree (owner, num);
CREATE TABLE token (
    id         text COLLATE "C" PRIMARY KEY,
    hash       text COLLATE "C" NOT NULL UNIQUE,
    owner      text COLLATE "C" NOT NULL,
    scopes     text COLLATE "C" NOT NULL,
    name       text COLLATE "C" NOT NULL,
    created_at text COLLATE "C" NOT NULL,
    expires_at text COLLATE "C",
    revoked_at text COLLATE "C"
);
CREATE TABLE webhook (
    id          text    COLLATE "C" PRIMARY KEY,
    tree        text    COLLATE "C" NOT NULL,
    made        text    COLLATE "C" NOT NULL,
    config      text    COLLATE "C" NOT NULL,
    seen        bigint  NOT NULL,
    attempts    bigint  NOT NULL,
    missed      bigint  NOT NULL,
    due         double precision NOT NULL,
    leased      double precision NOT NULL,
    holder      text    COLLATE "C" NOT NULL,
    state       text    COLLATE "C" NOT NULL,
    problem     text    COLLATE "C" NOT NULL,
    created_at  text    COLLATE "C" NOT NULL
);
CREATE INDEX webhook_open ON webhook (tree) WHERE state = 'open';
DROP FUNCTION IF EXISTS apflow_append_all, apflow_append, apflow_states, apflow_events,
    apflow_task_num, apflow_tree_num, apflow_take_slots, apflow_answer
