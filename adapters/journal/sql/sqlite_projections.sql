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

-- The status rows made again. The copy is `main`, the store is attached as `stored`; names without
-- a schema are found in the copy.

-- name: attach
ATTACH DATABASE ? AS stored

-- name: quick
PRAGMA main.journal_mode = OFF

-- name: index_copy
CREATE INDEX main.task_by_id ON task (id)

-- name: number
SELECT num FROM tree WHERE id = ?

-- name: numbers
SELECT t.id, t.num & 1048575 FROM tree r
JOIN task t ON t.num BETWEEN r.num << 20 AND (r.num << 20) + 1048575
WHERE r.id = ?

-- name: page
SELECT originator_version, topic, state, rowid, originator_id FROM stored.stored_events
WHERE rowid > ? ORDER BY rowid LIMIT ?

-- name: position
SELECT notification_id FROM stored.tracking WHERE application_name = 'status'

-- name: differences_tree
SELECT d.id AS subject, d.* FROM (
    SELECT 'stored' AS side, * FROM (SELECT * FROM stored.tree EXCEPT SELECT * FROM main.tree)
    UNION ALL
    SELECT 'rebuilt', * FROM (SELECT * FROM main.tree EXCEPT SELECT * FROM stored.tree)
) d ORDER BY subject LIMIT ?

-- name: differences_task
SELECT d.id AS subject, d.* FROM (
    SELECT 'stored' AS side, * FROM (SELECT * FROM stored.task EXCEPT SELECT * FROM main.task)
    UNION ALL
    SELECT 'rebuilt', * FROM (SELECT * FROM main.task EXCEPT SELECT * FROM stored.task)
) d ORDER BY subject LIMIT ?

-- name: differences_task_state
SELECT COALESCE(r.id, t.id, d.num) AS subject, d.* FROM (
    SELECT 'stored' AS side, *
    FROM (SELECT * FROM stored.task_state EXCEPT SELECT * FROM main.task_state)
    UNION ALL
    SELECT 'rebuilt', *
    FROM (SELECT * FROM main.task_state EXCEPT SELECT * FROM stored.task_state)
) d LEFT JOIN main.task r ON r.num = d.num LEFT JOIN stored.task t ON t.num = d.num
ORDER BY subject LIMIT ?

-- name: differences_slot
SELECT COALESCE(r.id, t.id, d.task) AS subject, d.* FROM (
    SELECT 'stored' AS side, * FROM (SELECT * FROM stored.slot EXCEPT SELECT * FROM main.slot)
    UNION ALL
    SELECT 'rebuilt', * FROM (SELECT * FROM main.slot EXCEPT SELECT * FROM stored.slot)
) d LEFT JOIN main.task r ON r.num = d.task LEFT JOIN stored.task t ON t.num = d.task
ORDER BY subject LIMIT ?

-- name: mend_1
DELETE FROM stored.tree WHERE num IN (
    SELECT num FROM (SELECT * FROM stored.tree EXCEPT SELECT * FROM main.tree))

-- name: mend_2
DELETE FROM stored.task WHERE num IN (
    SELECT num FROM (SELECT * FROM stored.task EXCEPT SELECT * FROM main.task))

-- name: mend_3
DELETE FROM stored.task_state WHERE num IN (
    SELECT num FROM (SELECT * FROM stored.task_state EXCEPT SELECT * FROM main.task_state))

-- name: mend_4
INSERT INTO stored.tree SELECT * FROM main.tree EXCEPT SELECT * FROM stored.tree

-- name: mend_5
INSERT INTO stored.task SELECT * FROM main.task EXCEPT SELECT * FROM stored.task

-- name: mend_6
INSERT INTO stored.task_state SELECT * FROM main.task_state EXCEPT SELECT * FROM stored.task_state

-- name: mend_7
DELETE FROM stored.slot WHERE task IN (
    SELECT task FROM (SELECT * FROM stored.slot EXCEPT SELECT * FROM main.slot))

-- name: mend_8
INSERT INTO stored.slot SELECT * FROM main.slot EXCEPT SELECT * FROM stored.slot

-- name: forget_position
DELETE FROM stored.tracking WHERE application_name = 'status'

-- name: set_position
INSERT INTO stored.tracking VALUES ('status', ?)
