-- name: tree
SELECT * FROM tree WHERE id = %(id)s

-- name: trees
SELECT t.* FROM tree t WHERE t.phase <> 'adopted'

-- name: trees_status
AND t.status = %(status)s::text

-- name: trees_owner
AND t.owner = %(owner)s::text

-- name: trees_phase
AND t.phase = %(phase)s::text

-- name: trees_before
AND t.num < %(before)s::bigint

-- name: trees_name
AND position(%(name)s::text IN t.name) > 0

-- name: trees_since
AND t.created_at >= %(since)s::text

-- name: trees_until
AND t.created_at < %(until)s::text

-- name: trees_executor
AND EXISTS (
    SELECT 1 FROM task k
    WHERE k.num BETWEEN t.num << 20 AND (t.num << 20) + 1048575
      AND COALESCE(k.params::json ->> 'executor_id', k.schemas::json ->> 'method', k.name)
          = %(executor)s::text
)

-- name: trees_error
AND EXISTS (
    SELECT 1 FROM task_state s
    JOIN stored_events e ON e.originator_id = t.id AND e.originator_version = s.ended
    WHERE s.num BETWEEN t.num << 20 AND (t.num << 20) + 1048575 AND s.status = 'failed'
      AND CASE WHEN substring(e.state FROM 1 FOR 9) = '{"salt":"'::bytea
               THEN convert_from(e.state, 'UTF8')::json #>> '{error,type}' END = %(error)s::text
)

-- name: trees_end
ORDER BY t.num DESC LIMIT %(limit)s::bigint

-- name: tree_of_request
SELECT * FROM tree WHERE request = %(key)s

-- name: history
SELECT originator_version, topic, state, notification_id FROM stored_events
WHERE originator_id = %(tree)s AND originator_version > %(after)s::bigint
  AND originator_version < %(before)s::bigint
  AND (%(topics)s::text[] IS NULL OR topic = ANY (%(topics)s::text[]))
ORDER BY originator_version LIMIT %(limit)s::bigint

-- name: history_back
SELECT originator_version, topic, state, notification_id FROM stored_events
WHERE originator_id = %(tree)s AND originator_version > %(after)s::bigint
  AND originator_version < %(before)s::bigint
  AND (%(topics)s::text[] IS NULL OR topic = ANY (%(topics)s::text[]))
ORDER BY originator_version DESC LIMIT %(limit)s::bigint

-- name: task
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase, e.topic, e.state
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON e.originator_id = r.id AND e.originator_version = s.ended
WHERE t.id = %(id)s

-- name: tasks
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase, e.topic, e.state
FROM tree r
JOIN task t ON t.num BETWEEN (r.num << 20) + %(after)s::bigint + 1
                         AND (r.num << 20) + 1048575
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON %(results)s::boolean AND e.originator_id = r.id AND e.originator_version = s.ended
WHERE r.id = %(tree)s
  AND (%(status)s::text IS NULL OR COALESCE(s.status, 'pending') = %(status)s::text)
ORDER BY t.num LIMIT %(limit)s::bigint

-- name: tasks_by_id
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase, e.topic, e.state
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON e.originator_id = r.id AND e.originator_version = s.ended
WHERE t.id = ANY (%(ids)s::text[])

-- name: find
SELECT t.num, t.id, t.key, t.name, t.parent, t.priority, t.dependencies, t.inputs, t.params,
       t.schemas, t.policy, t.created_at, s.status, s.attempt, s.generation, s.progress, s.message,
       s.started_at, s.completed_at, s.ended, r.id, r.owner, r.phase,
       (SELECT topic FROM stored_events
        WHERE originator_id = r.id AND originator_version = s.ended),
       (SELECT state FROM stored_events
        WHERE originator_id = r.id AND originator_version = s.ended)
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
WHERE (%(owner)s::text IS NULL OR r.owner = %(owner)s::text)
  AND (%(status)s::text IS NULL OR COALESCE(s.status, 'pending') = %(status)s::text)
  AND (%(parent)s::text IS NULL OR t.parent = %(parent)s::text)
  AND (NOT %(roots)s::boolean OR t.parent IS NULL)
ORDER BY CASE WHEN %(order)s::text = 'priority' AND NOT %(descending)s::boolean
              THEN t.priority END,
         CASE WHEN %(order)s::text = 'priority' AND %(descending)s::boolean
              THEN t.priority END DESC,
         CASE WHEN %(order)s::text <> 'priority' AND NOT %(descending)s::boolean THEN
              CASE %(order)s::text WHEN 'name' THEN t.name
                                   WHEN 'status' THEN COALESCE(s.status, 'pending')
                                   ELSE t.created_at END END,
         CASE WHEN %(order)s::text <> 'priority' AND %(descending)s::boolean THEN
              CASE %(order)s::text WHEN 'name' THEN t.name
                                   WHEN 'status' THEN COALESCE(s.status, 'pending')
                                   ELSE t.created_at END END DESC,
         CASE WHEN %(descending)s::boolean THEN -t.num ELSE t.num END
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint

-- name: counts
SELECT COALESCE(s.status, 'pending'), COUNT(*)
FROM task t
JOIN tree r ON r.num = t.num >> 20
LEFT JOIN task_state s ON s.num = t.num
WHERE (%(owner)s::text IS NULL OR r.owner = %(owner)s::text)
  AND (NOT %(roots)s::boolean OR t.parent IS NULL)
GROUP BY 1

-- name: parents
SELECT p.id FROM task p
WHERE p.id = ANY (%(ids)s::text[]) AND p.parent IS NULL
  AND EXISTS (
    SELECT 1 FROM task c
    WHERE c.num BETWEEN (p.num >> 20) << 20 AND ((p.num >> 20) << 20) + 1048575
      AND c.parent = p.id
  )
UNION
SELECT c.parent
FROM (SELECT DISTINCT num >> 20 AS tree FROM task
      WHERE id = ANY (%(ids)s::text[]) AND parent IS NOT NULL) r
JOIN task c ON c.num BETWEEN r.tree << 20 AND (r.tree << 20) + 1048575
WHERE c.parent = ANY (%(ids)s::text[])

-- name: ids_by_key
SELECT t.key, t.id
FROM tree r
JOIN task t ON t.num BETWEEN r.num << 20 AND (r.num << 20) + 1048575
WHERE r.id = %(tree)s AND t.key = ANY (%(keys)s::text[])

-- name: ids_like
SELECT id FROM tree WHERE phase <> 'adopted' AND id >= %(prefix)s AND id < %(after)s
ORDER BY id LIMIT %(limit)s::bigint

-- name: taken
SELECT id FROM task WHERE id = ANY (%(ids)s::text[])

-- name: owner_and_tree
SELECT t.id, r.owner, r.id FROM task t JOIN tree r ON r.num = t.num >> 20
WHERE t.id = ANY (%(ids)s::text[])

-- name: attempts
SELECT task, generation, attempt, started_at, ended_at, outcome FROM attempt
WHERE tree = %(tree)s ORDER BY started
