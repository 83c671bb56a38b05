-- name: tree
SELECT * FROM tree WHERE id = %(id)s

-- name: trees
SELECT * FROM tree
WHERE phase <> 'adopted'
  AND (%(status)s::text IS NULL OR status = %(status)s::text)
  AND (%(owner)s::text IS NULL OR owner = %(owner)s::text)
  AND (%(phase)s::text IS NULL OR phase = %(phase)s::text)
  AND (%(before)s::bigint IS NULL OR num < %(before)s::bigint)
ORDER BY num DESC LIMIT %(limit)s::bigint

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
JOIN task t ON t.num BETWEEN r.num << 20 AND (r.num << 20) + 1048575
LEFT JOIN task_state s ON s.num = t.num
LEFT JOIN stored_events e
       ON %(results)s::boolean AND e.originator_id = r.id AND e.originator_version = s.ended
WHERE r.id = %(tree)s ORDER BY t.num

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
