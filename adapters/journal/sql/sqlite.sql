-- name: insert_event
INSERT INTO stored_events VALUES (?, ?, ?, ?, ?, ?)

-- name: track
INSERT INTO tracking VALUES ('status', last_insert_rowid())
ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id
RETURNING notification_id

-- name: table_names
SELECT name FROM sqlite_master WHERE type = 'table'

-- name: event_columns
SELECT name FROM pragma_table_info('stored_events')

-- name: mark_tracking
INSERT OR IGNORE INTO tracking VALUES (?, 1)

-- name: head
SELECT e.originator_version, e.hash, t.num
FROM stored_events e LEFT JOIN tree t ON t.id = e.originator_id
WHERE e.originator_id = ? ORDER BY e.originator_version DESC LIMIT 1

-- name: hash_at
SELECT hash FROM stored_events WHERE originator_id = ? AND originator_version = ?

-- name: insert_tree
INSERT INTO tree (id, uid, name, owner, phase, status, version, created_at, updated_at, request,
    origin)
VALUES (?, ?, ?, ?, 'draft', 'pending', 0, ?, ?, ?, ?)

-- name: touch_tree
UPDATE tree SET version = ?, updated_at = ?, status = COALESCE(?, status) WHERE num = ?

-- name: update_tree
UPDATE tree SET version = ?, updated_at = ?, status = COALESCE(?, status),
    phase = COALESCE(?, phase), engine = COALESCE(?, engine), epoch = COALESCE(?, epoch),
    released = COALESCE(?, released), completed_at = NULLIF(COALESCE(?, completed_at), ''),
    paused = COALESCE(?, paused)
WHERE num = ?

-- name: insert_task
INSERT INTO task (num, id, key, name, parent, priority, dependencies, inputs, params, schemas,
    policy, created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)

-- name: respecify_task
UPDATE task SET key = ?, name = ?, parent = ?, priority = ?, dependencies = ?, inputs = ?,
    params = ?, schemas = ?, policy = ?
WHERE num = ?

-- name: delete_task
DELETE FROM task WHERE id = ? AND num >> 20 = ?

-- name: delete_tasks_of
DELETE FROM task WHERE num BETWEEN ? AND ?

-- name: put_state
INSERT INTO task_state VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (num) DO UPDATE SET status = excluded.status, attempt = excluded.attempt,
    generation = excluded.generation, progress = excluded.progress, message = excluded.message,
    started_at = excluded.started_at, completed_at = excluded.completed_at, ended = excluded.ended

-- name: end_state
UPDATE task_state SET status = ?, attempt = ?, completed_at = ?, ended = ?,
    progress = COALESCE(?, progress)
WHERE num = ?

-- name: cancel_state
INSERT INTO task_state VALUES (?, 'cancelled', ?, 1, 0.0, '', NULL, ?, ?)
ON CONFLICT (num) DO UPDATE SET status = excluded.status, attempt = excluded.attempt,
    completed_at = excluded.completed_at, ended = excluded.ended

-- name: return_state
UPDATE task_state SET status = 'pending', started_at = NULL, progress = 0.0, message = ''
WHERE num = ?

-- name: progress_state
UPDATE task_state SET progress = ?, message = ? WHERE num = ?

-- name: free_slot
DELETE FROM slot WHERE task = ?

-- name: take_slot
INSERT INTO slot SELECT :task, :key
WHERE :most IS NULL OR (SELECT COUNT(*) FROM slot WHERE key = :key AND task <> :task) < :most
ON CONFLICT (task) DO UPDATE SET key = excluded.key

-- name: answer_command
UPDATE inbox SET outcome = ?, answered_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
WHERE id = ? AND outcome IS NULL

-- name: insert_blob
INSERT INTO blob VALUES (?, ?) ON CONFLICT (hash) DO NOTHING

-- name: blob
SELECT data FROM blob WHERE hash = ?

-- name: stream
SELECT originator_version, topic, state, rowid FROM stored_events
WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?

-- name: log
SELECT originator_version, topic, state, rowid, originator_id FROM stored_events
WHERE rowid > ? ORDER BY rowid LIMIT ?

-- name: chain
SELECT originator_version, topic, state, body_hash, hash FROM stored_events
WHERE originator_id = ? ORDER BY originator_version

-- name: position
SELECT MAX(rowid) FROM stored_events

-- name: open_work
SELECT id, name, engine, epoch, released FROM tree WHERE phase = 'submitted' ORDER BY num

-- name: owner
SELECT id, name, engine, epoch, released FROM tree WHERE id = ? AND phase = 'submitted'

-- name: ids_taken
SELECT id FROM task WHERE id IN (SELECT value FROM json_each(?))
