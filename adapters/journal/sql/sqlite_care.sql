-- name: probe
CREATE TABLE apflow_probe (n INTEGER)

-- name: facts
SELECT 'journal_mode', journal_mode FROM pragma_journal_mode
UNION ALL SELECT 'synchronous', synchronous FROM pragma_synchronous
UNION ALL SELECT 'page_count', page_count FROM pragma_page_count
UNION ALL SELECT 'page_size', page_size FROM pragma_page_size
UNION ALL SELECT 'schema_version', user_version FROM pragma_user_version

-- name: quick_check
SELECT * FROM pragma_quick_check(?)

-- name: integrity_check
SELECT * FROM pragma_integrity_check(?)
