-- name: send
WITH swept AS (
    DELETE FROM inbox
    WHERE answered_at < clock_timestamp() - interval '24 hours' AND id <> %(id)s
), sent AS (
    INSERT INTO inbox (id, tree, name, arguments, "by", at)
    VALUES (%(id)s, %(tree)s, %(name)s, %(arguments)s, %(by)s, %(at)s)
    ON CONFLICT (id) DO NOTHING
)
SELECT pg_notify('apflow_inbox', '')

-- name: pending
SELECT i.id, i.tree, i.name, i.arguments, i."by", i.at
FROM inbox i JOIN tree t ON t.id = i.tree
WHERE i.outcome IS NULL AND t.engine = %s ORDER BY i.at, i.id

-- name: refuse
WITH refused AS (
    UPDATE inbox SET outcome = %(outcome)s, answered_at = clock_timestamp()
    WHERE id = %(id)s AND outcome IS NULL
)
SELECT pg_notify('apflow_inbox', '')

-- name: outcome
SELECT outcome FROM inbox WHERE id = %s

-- name: find
SELECT id, tree, name, arguments, "by", at FROM inbox WHERE id = %s
