-- name: add_token
INSERT INTO token (id, hash, owner, scopes, name, created_at, expires_at)
VALUES (:id, :hash, :owner, :scopes, :name, :created_at, :expires_at)
ON CONFLICT (id) DO NOTHING RETURNING id

-- name: find_token
SELECT id, owner, scopes, name, created_at, expires_at, revoked_at FROM token
WHERE hash = :hash AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > :now)

-- name: list_tokens
SELECT id, owner, scopes, name, created_at, expires_at, revoked_at FROM token
ORDER BY created_at, id

-- name: revoke_token
UPDATE token SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL RETURNING id

-- name: add_webhook
INSERT INTO webhook (id, tree, made, config, seen, attempts, missed, due, leased, holder, state,
                     problem, created_at)
VALUES (:id, :tree, :made, :config, :seen, 0, 0, 0, 0, '', 'open', '', :at)
ON CONFLICT (id) DO UPDATE
SET created_at = excluded.created_at, state = 'open', config = excluded.config,
    seen = CASE WHEN webhook.state = 'open' THEN webhook.seen ELSE excluded.seen END,
    due = CASE WHEN webhook.state = 'open' THEN webhook.due ELSE 0 END,
    problem = CASE WHEN webhook.state = 'open' THEN webhook.problem ELSE '' END
WHERE excluded.made = ''
RETURNING id

-- name: open_webhooks
SELECT id FROM webhook
WHERE state = 'open' AND ((tree = :tree AND tree <> '') OR (made = :made AND made <> ''))

-- name: webhooks_of_tree
SELECT id, tree, config, seen, attempts, state, problem FROM webhook WHERE tree = :tree
ORDER BY created_at, id

-- name: bind_webhooks
UPDATE webhook SET tree = :tree WHERE state = 'open' AND tree = '' AND made = :made RETURNING id

-- name: unbound_webhooks
SELECT DISTINCT made FROM webhook WHERE state = 'open' AND tree = ''

-- name: remove_webhook
DELETE FROM webhook WHERE id = :id AND tree = '' RETURNING id

-- name: withdraw_webhook
DELETE FROM webhook WHERE id = :id AND state = 'open' AND created_at = :at RETURNING id

-- name: ready_webhooks
-- Of each owner there are so many ("share") in hands, and as many of those that have failed last.
WITH held AS (
    SELECT coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing, count(*) AS slots
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.leased > :now AND w.holder <> :holder
    GROUP BY 1, 2
), due AS (
    SELECT w.id, coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing,
           row_number() OVER (
               PARTITION BY coalesce(t.owner, ''), w.attempts + w.missed > 0
               ORDER BY w.due, w.id
           ) AS place
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.due <= :now
      AND (w.leased <= :now OR w.holder = :holder)
      AND t.phase <> 'draft' AND t.version > w.seen
)
SELECT due.id FROM due LEFT JOIN held ON held.owner = due.owner AND held.failing = due.failing
WHERE due.place + coalesce(held.slots, 0) <= :share
LIMIT 1

-- name: claim_webhooks
WITH held AS (
    SELECT coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing, count(*) AS slots
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.leased > :now AND w.holder <> :holder
    GROUP BY 1, 2
), due AS (
    SELECT w.id, coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing,
           row_number() OVER (
               PARTITION BY coalesce(t.owner, ''), w.attempts + w.missed > 0
               ORDER BY w.due, w.id
           ) AS place
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.due <= :now
      AND (w.leased <= :now OR w.holder = :holder)
      AND t.phase <> 'draft' AND t.version > w.seen
)
UPDATE webhook SET leased = :until, holder = :holder
WHERE id IN (
    SELECT w.id FROM webhook w JOIN due ON due.id = w.id
    LEFT JOIN held ON held.owner = due.owner AND held.failing = due.failing
    WHERE due.place + coalesce(held.slots, 0) <= :share
    ORDER BY w.due, w.id LIMIT :limit
)
RETURNING id, tree, config, seen, attempts, missed, holder, created_at

-- name: hold_webhook
UPDATE webhook SET leased = :until WHERE id = :id AND holder = :holder AND state = 'open'
RETURNING id

-- name: advance_webhook
UPDATE webhook
SET seen = :seen, attempts = 0, missed = :missed, leased = :until,
    problem = coalesce(:problem, problem)
WHERE id = :id AND holder = :holder AND state = 'open'
RETURNING id

-- name: put_off_webhook
UPDATE webhook
SET attempts = :attempts, due = :due, leased = 0, holder = '',
    problem = coalesce(:problem, problem)
WHERE id = :id AND holder = :holder AND state = 'open'
RETURNING id

-- name: release_webhook
UPDATE webhook SET due = :due, leased = 0, holder = ''
WHERE id = :id AND holder = :holder AND state = 'open'
RETURNING id

-- name: end_webhook
-- Of one that has ended `due` is when it did.
UPDATE webhook
SET state = :state, config = :config, attempts = 0, missed = 0, due = :now, leased = 0,
    holder = '',
    problem = coalesce(:problem, problem)
WHERE id = :id AND holder = :holder AND state = 'open' AND created_at = :created_at
RETURNING id

-- name: next_webhook
SELECT min(max(w.due, w.leased)) FROM webhook w JOIN tree t ON t.id = w.tree
WHERE w.state = 'open' AND t.phase <> 'draft' AND t.version > w.seen

-- name: sweep_unbound_webhooks
UPDATE webhook SET state = 'failed', problem = 'its tree never came', due = :now,
    config = json_remove(config, '$.headers')
WHERE state = 'open' AND tree = '' AND created_at < :before
RETURNING id

-- name: sweep_idle_webhooks
UPDATE webhook SET state = 'done', due = :now, config = json_remove(config, '$.headers')
WHERE state = 'open' AND created_at < :before AND id IN (
    SELECT w.id FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND t.phase IN ('settled', 'adopted') AND t.version <= w.seen
)
RETURNING id

-- name: sweep_ended_webhooks
DELETE FROM webhook WHERE state <> 'open' AND created_at < :before AND due < :ended RETURNING id

-- name: memory_table
-- In a database in memory: the rows of trees lie elsewhere, and those that hooks name are copied.
CREATE TABLE tree (
    id TEXT PRIMARY KEY, owner TEXT, phase TEXT NOT NULL, version INTEGER NOT NULL
)

-- name: memory_trees
SELECT DISTINCT tree FROM webhook WHERE state = 'open' AND tree <> ''

-- name: memory_tree
INSERT INTO tree (id, owner, phase, version) VALUES (:id, :owner, :phase, :version)
ON CONFLICT (id) DO UPDATE SET phase = excluded.phase, version = excluded.version
