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
