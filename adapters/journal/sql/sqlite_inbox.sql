-- name: sweep
DELETE FROM inbox WHERE julianday(answered_at) < julianday('now') - 1 AND id <> ?

-- name: send
INSERT INTO inbox (id, tree, name, arguments, "by", at) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO NOTHING

-- name: pending
SELECT i.id, i.tree, i.name, i.arguments, i."by", i.at
FROM inbox i JOIN tree t ON t.id = i.tree
WHERE i.outcome IS NULL AND t.engine = ? ORDER BY i.at, i.rowid

-- name: refuse
UPDATE inbox SET outcome = ?, answered_at = strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
WHERE id = ? AND outcome IS NULL

-- name: outcome
SELECT outcome FROM inbox WHERE id = ?

-- name: find
SELECT id, tree, name, arguments, "by", at FROM inbox WHERE id = ?
