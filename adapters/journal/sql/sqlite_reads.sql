-- name: tree
SELECT * FROM tree WHERE id = :id

-- name: trees
SELECT t.* FROM tree t WHERE t.phase <> 'adopted'

-- name: trees_status
AND t.status = :status

-- name: trees_owner
AND t.owner = :owner

-- name: trees_phase
AND t.phase = :phase

-- name: trees_before
AND t.num < :before

-- name: trees_name
AND instr(t.name, :name) > 0

-- name: trees_since
AND t.created_at >= :since

-- name: trees_until
AND t.created_at < :until

-- name: trees_executor
AND EXISTS (
    SELECT 1 FROM task k
    WHERE k.num BETWEEN t.num << 20 AND (t.num << 20) + 1048575
      AND COALESCE(json_extract(k.params, '$.executor_id'), json_extract(k.schemas, '$.method'),
                   k.name) = :executor
)

-- name: trees_error
AND EXISTS (
    SELECT 1 FROM task_state s
    JOIN stored_events e ON e.originator_id = t.id AND e.originator_version = s.ended
    WHERE s.num BETWEEN t.num << 20 AND (t.num << 20) + 1048575 AND s.status = 'failed'
      AND substr(e.state, 1, 1) = CAST('{' AS BLOB)
      AND json_extract(CAST(e.state AS TEXT), '$.error.type') = :error
)

-- name: trees_end
ORDER BY t.num DESC LIMIT :limit

-- name: tree_of_request
SELECT * FROM tree WHERE request = :key

-- name: history
SELECT originator_version, topic, state, rowid FROM stored_events
WHERE originator_id = :tree AND originator_version > :after AND originator_version < :before
  AND (:topics IS NULL OR topic IN (SELECT value FROM json_each(:topics)))
ORDER BY originator_version LIMIT :limit

-- name: history_back
SELECT originator_version, topic, state, rowid FROM stored_events
WHERE originator_id = :tree AND originator_version > :after AND originator_version < :before
  AND (:topics IS NULL OR topic IN (SELECT value FROM json_each(:topics)))
ORDER BY originator_version DESC LIMIT :limit

-- name: task
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase, e.topic, e.state
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON e.originator_id = r.id AND e.originator_version = s.ended
WHERE t.id = :id

-- name: tasks
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase, e.topic, e.state
FROM tree r
JOIN task t ON t.num BETWEEN (r.num << 20) + :after + 1 AND (r.num << 20) + 1048575
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON :results AND e.originator_id = r.id AND e.originator_version = s.ended
WHERE r.id = :tree AND (:status IS NULL OR COALESCE(s.status, 'pending') = :status)
ORDER BY t.num LIMIT COALESCE(:limit, -1)

-- name: tasks_by_id
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase, e.topic, e.state
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON e.originator_id = r.id AND e.originator_version = s.ended
WHERE t.id IN (SELECT value FROM json_each(:ids))

-- name: find
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase, e.topic, e.state
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON e.originator_id = r.id AND e.originator_version = s.ended
WHERE (:owner IS NULL OR r.owner = :owner)
  AND (:status IS NULL OR COALESCE(s.status, 'pending') = :status)
  AND (:parent IS NULL OR t.parent = :parent)
  AND (NOT :roots OR t.parent IS NULL)
ORDER BY CASE WHEN :descending THEN NULL ELSE
             CASE :order WHEN 'priority' THEN t.priority WHEN 'name' THEN t.name
                         WHEN 'status' THEN COALESCE(s.status, 'pending')
                         ELSE t.created_at END END,
         CASE WHEN :descending THEN
             CASE :order WHEN 'priority' THEN t.priority WHEN 'name' THEN t.name
                         WHEN 'status' THEN COALESCE(s.status, 'pending')
                         ELSE t.created_at END END DESC,
         CASE WHEN :descending THEN -t.num ELSE t.num END
LIMIT :limit OFFSET :offset

-- name: counts
SELECT COALESCE(s.status, 'pending'), COUNT(*)
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
WHERE (:owner IS NULL OR r.owner = :owner)
  AND (NOT :roots OR t.parent IS NULL)
GROUP BY 1

-- name: parents
SELECT p.id FROM task p
WHERE p.id IN (SELECT value FROM json_each(:ids)) AND p.parent IS NULL
  AND EXISTS (
    SELECT 1 FROM task c
    WHERE c.num BETWEEN (p.num >> 20) << 20 AND ((p.num >> 20) << 20) + 1048575
      AND c.parent = p.id
  )
UNION
SELECT c.parent
FROM (SELECT DISTINCT num >> 20 AS tree FROM task
      WHERE id IN (SELECT value FROM json_each(:ids)) AND parent IS NOT NULL) r
JOIN task c ON c.num BETWEEN r.tree << 20 AND (r.tree << 20) + 1048575
WHERE c.parent IN (SELECT value FROM json_each(:ids))

-- name: ids_by_key
SELECT t.key, t.id
FROM tree r
JOIN task t ON t.num BETWEEN r.num << 20 AND (r.num << 20) + 1048575
WHERE r.id = :tree AND t.key IN (SELECT value FROM json_each(:keys))

-- name: ids_like
SELECT id FROM tree WHERE phase <> 'adopted' AND id >= :prefix AND id < :after
ORDER BY id LIMIT :limit

-- name: taken
SELECT id FROM task WHERE id IN (SELECT value FROM json_each(:ids))

-- name: owner_and_tree
SELECT t.id, r.owner, r.id FROM task t JOIN tree r ON r.num = t.num >> 20
WHERE t.id IN (SELECT value FROM json_each(:ids))

-- name: attempts
SELECT task, generation, attempt, started_at, ended_at, outcome FROM attempt
WHERE tree = :tree ORDER BY started
