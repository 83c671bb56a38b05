-- name: add_token
INSERT INTO token (id, hash, owner, scopes, name, created_at, expires_at)
VALUES (%(id)s, %(hash)s, %(owner)s, %(scopes)s, %(name)s, %(created_at)s, %(expires_at)s::text)
ON CONFLICT (id) DO NOTHING RETURNING id

-- name: find_token
SELECT id, owner, scopes, name, created_at, expires_at, revoked_at FROM token
WHERE hash = %(hash)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > %(now)s::text)

-- name: list_tokens
SELECT id, owner, scopes, name, created_at, expires_at, revoked_at FROM token
ORDER BY created_at, id

-- name: revoke_token
UPDATE token SET revoked_at = %(now)s::text WHERE id = %(id)s AND revoked_at IS NULL RETURNING id

-- name: add_webhook
INSERT INTO webhook (id, tree, made, config, seen, attempts, missed, due, leased, holder, state,
                     problem, created_at)
VALUES (%(id)s, %(tree)s::text, %(made)s::text, %(config)s, %(seen)s, 0, 0, 0, 0, '', 'open', '',
        %(at)s)
ON CONFLICT (id) DO UPDATE
SET created_at = excluded.created_at, state = 'open', config = excluded.config,
    seen = CASE WHEN webhook.state = 'open' THEN webhook.seen ELSE excluded.seen END,
    due = CASE WHEN webhook.state = 'open' THEN webhook.due ELSE 0 END,
    problem = CASE WHEN webhook.state = 'open' THEN webhook.problem ELSE '' END
WHERE excluded.made = ''
RETURNING id

-- name: open_webhooks
SELECT id FROM webhook
WHERE state = 'open' AND ((tree = %(tree)s::text AND tree <> '')
                          OR (made = %(made)s::text AND made <> ''))

-- name: webhooks_of_tree
SELECT id, tree, config, seen, attempts, state, problem FROM webhook WHERE tree = %(tree)s::text
ORDER BY created_at, id

-- name: bind_webhooks
UPDATE webhook SET tree = %(tree)s::text
WHERE state = 'open' AND tree = '' AND made = %(made)s::text
RETURNING id

-- name: unbound_webhooks
SELECT DISTINCT made FROM webhook WHERE state = 'open' AND tree = ''

-- name: remove_webhook
DELETE FROM webhook WHERE id = %(id)s AND tree = '' RETURNING id

-- name: withdraw_webhook
DELETE FROM webhook WHERE id = %(id)s AND state = 'open' AND created_at = %(at)s RETURNING id

-- name: ready_webhooks
-- Of each owner there are so many ("share") in hands, and as many of those that have failed last.
WITH held AS (
    SELECT coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing, count(*) AS slots
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.leased > %(now)s AND w.holder <> %(holder)s
    GROUP BY 1, 2
), due AS (
    SELECT w.id, coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing,
           row_number() OVER (
               PARTITION BY coalesce(t.owner, ''), w.attempts + w.missed > 0
               ORDER BY w.due, w.id
           ) AS place
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.due <= %(now)s
      AND (w.leased <= %(now)s OR w.holder = %(holder)s)
      AND t.phase <> 'draft' AND t.version > w.seen
)
SELECT due.id FROM due LEFT JOIN held ON held.owner = due.owner AND held.failing = due.failing
WHERE due.place + coalesce(held.slots, 0) <= %(share)s
LIMIT 1

-- name: claim_webhooks
WITH held AS (
    SELECT coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing, count(*) AS slots
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.leased > %(now)s AND w.holder <> %(holder)s
    GROUP BY 1, 2
), due AS (
    SELECT w.id, coalesce(t.owner, '') AS owner, w.attempts + w.missed > 0 AS failing,
           row_number() OVER (
               PARTITION BY coalesce(t.owner, ''), w.attempts + w.missed > 0
               ORDER BY w.due, w.id
           ) AS place
    FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND w.due <= %(now)s
      AND (w.leased <= %(now)s OR w.holder = %(holder)s)
      AND t.phase <> 'draft' AND t.version > w.seen
)
UPDATE webhook SET leased = %(until)s, holder = %(holder)s
WHERE id = ANY (ARRAY(
    SELECT w.id FROM webhook w JOIN due ON due.id = w.id
    LEFT JOIN held ON held.owner = due.owner AND held.failing = due.failing
    WHERE due.place + coalesce(held.slots, 0) <= %(share)s
      AND w.state = 'open' AND w.due <= %(now)s AND (w.leased <= %(now)s OR w.holder = %(holder)s)
    ORDER BY w.due, w.id LIMIT %(limit)s
    FOR UPDATE OF w SKIP LOCKED
))
RETURNING id, tree, config, seen, attempts, missed, holder, created_at

-- name: hold_webhook
UPDATE webhook SET leased = %(until)s WHERE id = %(id)s AND holder = %(holder)s AND state = 'open'
RETURNING id

-- name: advance_webhook
UPDATE webhook
SET seen = %(seen)s, attempts = 0, missed = %(missed)s, leased = %(until)s,
    problem = coalesce(%(problem)s::text, problem)
WHERE id = %(id)s AND holder = %(holder)s AND state = 'open'
RETURNING id

-- name: put_off_webhook
UPDATE webhook
SET attempts = %(attempts)s, due = %(due)s, leased = 0, holder = '',
    problem = coalesce(%(problem)s::text, problem)
WHERE id = %(id)s AND holder = %(holder)s AND state = 'open'
RETURNING id

-- name: release_webhook
UPDATE webhook SET due = %(due)s, leased = 0, holder = ''
WHERE id = %(id)s AND holder = %(holder)s AND state = 'open'
RETURNING id

-- name: end_webhook
-- Of one that has ended `due` is when it did.
UPDATE webhook
SET state = %(state)s, config = %(config)s, attempts = 0, missed = 0, due = %(now)s, leased = 0,
    holder = '',
    problem = coalesce(%(problem)s::text, problem)
WHERE id = %(id)s AND holder = %(holder)s AND state = 'open' AND created_at = %(created_at)s
RETURNING id

-- name: next_webhook
SELECT min(greatest(w.due, w.leased)) FROM webhook w JOIN tree t ON t.id = w.tree
WHERE w.state = 'open' AND t.phase <> 'draft' AND t.version > w.seen

-- name: sweep_unbound_webhooks
UPDATE webhook SET state = 'failed', problem = 'its tree never came', due = %(now)s,
    config = (config::jsonb - 'headers')::text
WHERE state = 'open' AND tree = '' AND created_at < %(before)s
RETURNING id

-- name: sweep_idle_webhooks
UPDATE webhook SET state = 'done', due = %(now)s, config = (config::jsonb - 'headers')::text
WHERE state = 'open' AND created_at < %(before)s AND id IN (
    SELECT w.id FROM webhook w JOIN tree t ON t.id = w.tree
    WHERE w.state = 'open' AND t.phase IN ('settled', 'adopted') AND t.version <= w.seen
)
RETURNING id

-- name: sweep_ended_webhooks
DELETE FROM webhook WHERE state <> 'open' AND created_at < %(before)s AND due < %(ended)s RETURNING id
