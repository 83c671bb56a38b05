-- name: mark
SELECT substr(application_name, length(%(name)s) + 2)::bigint, notification_id FROM tracking
WHERE starts_with(application_name, %(name)s || '/')

-- name: lock_rows
SELECT pg_advisory_xact_lock(1634755175, hashtext(%s)), set_config('enable_seqscan', 'off', true),
       set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true)

-- name: forget_mark
DELETE FROM tracking WHERE starts_with(application_name, %(name)s || '/')

-- name: set_mark
INSERT INTO tracking VALUES (%s, %s)
ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id

-- name: clear_timeline
DELETE FROM attempt

-- name: begin_attempts
INSERT INTO attempt SELECT * FROM unnest(%s, %s, %s, %s, %s, %s, %s, %s)

-- name: end_attempts
UPDATE attempt a SET ended_at = x.ended_at, outcome = x.outcome
FROM unnest(%s, %s, %s, %s) AS x(tree, task, ended_at, outcome)
WHERE a.tree = x.tree AND a.task = x.task AND a.ended_at IS NULL

-- The status rows made again. The copy is temporary tables, which hide those of the same name; the
-- stored ones are reached by views. In the copy trees are numbered from 1 on. Theirs are the numbers
-- that the stored trees have, since those may have gaps.

-- name: real
SELECT 'stored_events'::regclass::oid::integer, pg_get_serial_sequence('tree', 'num')

-- name: make_copy
SET statement_timeout = 0;
SET idle_in_transaction_session_timeout = '60s';
CREATE TEMP VIEW stored_log AS SELECT * FROM stored_events;
CREATE TEMP VIEW stored_tracking AS SELECT * FROM tracking;
CREATE TEMP VIEW stored_tree AS SELECT * FROM tree;
CREATE TEMP VIEW stored_task AS SELECT * FROM task;
CREATE TEMP VIEW stored_task_state AS SELECT * FROM task_state;
CREATE TEMP VIEW stored_slot AS SELECT * FROM slot;
CREATE TEMP TABLE stored_events (LIKE stored_events);
CREATE TEMP TABLE tree (LIKE tree INCLUDING ALL);
CREATE TEMP TABLE task (LIKE task);
ALTER TABLE pg_temp.task ADD PRIMARY KEY (num);
CREATE INDEX ON pg_temp.task (id);
CREATE TEMP TABLE task_state (LIKE task_state INCLUDING ALL);
CREATE TEMP TABLE slot (LIKE slot INCLUDING ALL);
CREATE TEMP TABLE number (made bigint PRIMARY KEY, num bigint);
CREATE TEMP VIEW made_tree AS
SELECT n.num, t.id, t.uid, t.name, t.owner, t.phase, t.status, t.version, t.engine, t.epoch,
       t.released, t.created_at, t.updated_at, t.completed_at, t.paused, t.request, t.origin
FROM tree t LEFT JOIN number n ON n.made = t.num;
CREATE TEMP VIEW made_task AS
SELECT (n.num << 20) | (t.num & 1048575) AS num, t.id, t.key, t.name, t.parent, t.priority,
       t.dependencies, t.inputs, t.params, t.schemas, t.created_at, t.policy
FROM task t LEFT JOIN number n ON n.made = t.num >> 20;
CREATE TEMP VIEW made_task_state AS
SELECT (n.num << 20) | (t.num & 1048575) AS num, t.status, t.attempt, t.generation, t.progress,
       t.message, t.started_at, t.completed_at, t.ended
FROM task_state t LEFT JOIN number n ON n.made = t.num >> 20;
CREATE TEMP VIEW made_slot AS
SELECT (n.num << 20) | (t.task & 1048575) AS task, t.key
FROM slot t LEFT JOIN number n ON n.made = t.task >> 20

-- name: repeatable
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ

-- name: lock
SELECT pg_advisory_xact_lock(1634755175, %s),
       set_config('idle_in_transaction_session_timeout', %s, true)

-- name: number
SELECT num FROM tree WHERE id = %s

-- name: numbers
SELECT t.id, t.num & 1048575 FROM tree r
JOIN task t ON t.num BETWEEN r.num << 20 AND (r.num << 20) + 1048575
WHERE r.id = %s

-- name: page
SELECT originator_version, topic, state, notification_id, originator_id FROM stored_log
WHERE notification_id > %s ORDER BY notification_id LIMIT %s

-- name: position
SELECT notification_id FROM stored_tracking WHERE application_name = 'status'

-- name: plan_freely
SELECT set_config('enable_seqscan', 'on', false), set_config('enable_hashjoin', 'on', false),
       set_config('enable_mergejoin', 'on', false)

-- name: number_known
INSERT INTO number SELECT t.num, s.num FROM tree t JOIN stored_tree s ON s.id = t.id

-- name: number_others
INSERT INTO number
SELECT made, nextval(%s::regclass) FROM (
    SELECT t.num AS made FROM tree t
    WHERE NOT EXISTS (SELECT 1 FROM number n WHERE n.made = t.num) ORDER BY t.num
) x

-- name: differences_tree
SELECT d.id AS subject, d.* FROM (
    SELECT 'stored' AS side, s.*
    FROM (SELECT * FROM stored_tree EXCEPT SELECT * FROM made_tree) s
    UNION ALL
    SELECT 'rebuilt', m.* FROM (SELECT * FROM made_tree EXCEPT SELECT * FROM stored_tree) m
) d ORDER BY subject LIMIT %s

-- name: differences_task
SELECT d.id AS subject, d.* FROM (
    SELECT 'stored' AS side, s.*
    FROM (SELECT * FROM stored_task EXCEPT SELECT * FROM made_task) s
    UNION ALL
    SELECT 'rebuilt', m.* FROM (SELECT * FROM made_task EXCEPT SELECT * FROM stored_task) m
) d ORDER BY subject LIMIT %s

-- name: differences_task_state
SELECT COALESCE(m.id, s.id, d.num::text) AS subject, d.* FROM (
    SELECT 'stored' AS side, s.*
    FROM (SELECT * FROM stored_task_state EXCEPT SELECT * FROM made_task_state) s
    UNION ALL
    SELECT 'rebuilt', m.*
    FROM (SELECT * FROM made_task_state EXCEPT SELECT * FROM stored_task_state) m
) d LEFT JOIN made_task m ON m.num = d.num LEFT JOIN stored_task s ON s.num = d.num
ORDER BY subject LIMIT %s

-- name: differences_slot
SELECT COALESCE(m.id, s.id, d.task::text) AS subject, d.* FROM (
    SELECT 'stored' AS side, s.*
    FROM (SELECT * FROM stored_slot EXCEPT SELECT * FROM made_slot) s
    UNION ALL
    SELECT 'rebuilt', m.* FROM (SELECT * FROM made_slot EXCEPT SELECT * FROM stored_slot) m
) d LEFT JOIN made_task m ON m.num = d.task LEFT JOIN stored_task s ON s.num = d.task
ORDER BY subject LIMIT %s

-- name: mend_1
DELETE FROM stored_tree WHERE num IN (
    SELECT num FROM (SELECT * FROM stored_tree EXCEPT SELECT * FROM made_tree) d)

-- name: mend_2
DELETE FROM stored_task WHERE num IN (
    SELECT num FROM (SELECT * FROM stored_task EXCEPT SELECT * FROM made_task) d)

-- name: mend_3
DELETE FROM stored_task_state WHERE num IN (
    SELECT num FROM (SELECT * FROM stored_task_state EXCEPT SELECT * FROM made_task_state) d)

-- name: mend_4
INSERT INTO stored_tree SELECT * FROM made_tree EXCEPT SELECT * FROM stored_tree

-- name: mend_5
INSERT INTO stored_task SELECT * FROM made_task EXCEPT SELECT * FROM stored_task

-- name: mend_6
INSERT INTO stored_task_state
SELECT * FROM made_task_state EXCEPT SELECT * FROM stored_task_state

-- name: mend_7
DELETE FROM stored_slot WHERE task IN (
    SELECT task FROM (SELECT * FROM stored_slot EXCEPT SELECT * FROM made_slot) d)

-- name: mend_8
INSERT INTO stored_slot SELECT * FROM made_slot EXCEPT SELECT * FROM stored_slot

-- name: forget_position
DELETE FROM stored_tracking WHERE application_name = 'status'

-- name: set_position
INSERT INTO stored_tracking VALUES ('status', %s)
