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
