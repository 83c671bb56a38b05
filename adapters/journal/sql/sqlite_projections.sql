-- name: mark
SELECT CAST(substr(application_name, length(:name) + 2) AS INTEGER), notification_id FROM tracking
WHERE substr(application_name, 1, length(:name) + 1) = :name || '/'

-- name: forget_mark
DELETE FROM tracking WHERE substr(application_name, 1, length(:name) + 1) = :name || '/'

-- name: set_mark
INSERT INTO tracking VALUES (?, ?)
ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id

-- name: clear_timeline
DELETE FROM attempt

-- name: begin_attempt
INSERT INTO attempt VALUES (?, ?, ?, ?, ?, ?, ?, ?)

-- name: end_attempt
UPDATE attempt SET ended_at = ?, outcome = ? WHERE tree = ? AND task = ? AND ended_at IS NULL

-- name: clear_tree
DELETE FROM tree

-- name: clear_task
DELETE FROM task

-- name: clear_task_state
DELETE FROM task_state

-- name: clear_status
DELETE FROM tracking WHERE application_name = 'status'

-- name: set_status
INSERT INTO tracking VALUES ('status', ?)

-- name: number
SELECT num FROM tree WHERE id = ?

-- name: take_task
INSERT OR REPLACE INTO task VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: attach
ATTACH DATABASE ? AS stored

-- name: stored_log
SELECT originator_version, topic, state, rowid, originator_id FROM stored.stored_events
WHERE rowid > ? ORDER BY rowid LIMIT ?

-- name: differences_tree
SELECT d.id AS "key", d.* FROM (
    SELECT 'stored' AS side, * FROM (SELECT * FROM stored.tree EXCEPT SELECT * FROM main.tree)
    UNION ALL
    SELECT 'rebuilt', * FROM (SELECT * FROM main.tree EXCEPT SELECT * FROM stored.tree)
) d ORDER BY "key" LIMIT ?

-- name: differences_task
SELECT d.id AS "key", d.* FROM (
    SELECT 'stored' AS side, * FROM (SELECT * FROM stored.task EXCEPT SELECT * FROM main.task)
    UNION ALL
    SELECT 'rebuilt', * FROM (SELECT * FROM main.task EXCEPT SELECT * FROM stored.task)
) d ORDER BY "key" LIMIT ?

-- name: differences_task_state
SELECT COALESCE(r.id, t.id, d.num) AS "key", d.* FROM (
    SELECT 'stored' AS side, *
    FROM (SELECT * FROM stored.task_state EXCEPT SELECT * FROM main.task_state)
    UNION ALL
    SELECT 'rebuilt', *
    FROM (SELECT * FROM main.task_state EXCEPT SELECT * FROM stored.task_state)
) d LEFT JOIN main.task r ON r.num = d.num LEFT JOIN stored.task t ON t.num = d.num
ORDER BY "key" LIMIT ?

-- name: differences_tracking
SELECT application_name AS "key", d.* FROM (
    SELECT 'stored' AS side, * FROM stored.tracking
    UNION ALL
    SELECT 'rebuilt', * FROM main.tracking
) d WHERE application_name = 'status'
    AND (SELECT notification_id FROM stored.tracking WHERE application_name = 'status')
        IS NOT (SELECT notification_id FROM main.tracking WHERE application_name = 'status')
LIMIT ?
