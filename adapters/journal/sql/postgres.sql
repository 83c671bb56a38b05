-- name: configure
SELECT set_config('search_path', %(schema)s, false),
       set_config('synchronous_commit', %(synchronous_commit)s, false),
       set_config('lock_timeout', %(lock_timeout)s, false),
       set_config('statement_timeout', %(statement_timeout)s, false),
       set_config('idle_in_transaction_session_timeout', %(idle_timeout)s, false),
       set_config('default_transaction_isolation', 'read committed', false),
       set_config('jit', 'off', false),
       set_config('enable_bitmapscan', 'off', false)

-- name: configure_writer
SELECT set_config('plan_cache_mode', 'force_generic_plan', false),
       set_config('enable_seqscan', 'off', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false)

-- name: lock_schema
SELECT pg_advisory_xact_lock(1634755175, 0)

-- name: has_schema
SELECT EXISTS (
    SELECT FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'tracking'
)

-- name: schema_version
SELECT notification_id FROM tracking WHERE application_name = '__schema__'

-- name: mark_schema
INSERT INTO tracking VALUES ('__schema__', %s), ('__migration__', 1)

-- name: move_schema
UPDATE tracking SET notification_id = %s WHERE application_name = '__schema__'

-- name: lock
SELECT pg_advisory_xact_lock(1634755175, 'stored_events'::regclass::oid::integer)

-- name: await_writer
SELECT pg_advisory_xact_lock_shared(1634755175, 'stored_events'::regclass::oid::integer)

-- name: append
SELECT apflow_append(
    $1,
    $2, $3, $4, $5, $6, $7,
    $8, $9, $10, $11, $12, $13, $14, $15, $16,
    $17, $18, $19, $20, $21, $22,
    $23, $24, $25, $26)

-- name: append_all
SELECT nums, last FROM apflow_append_all(
    $1,
    $2, $3, $4, $5, $6, $7,
    $8, $9, $10, $11, $12, $13, $14, $15, $16,
    $17, $18, $19, $20, $21, $22,
    $23, $24, $25, $26,
    $27, $28, $29, $30, $31, $32, $33,
    $34, $35, $36, $37, $38, $39, $40, $41, $42, $43,
    $44, $45,
    $46,
    $47, $48, $49, $50, $51, $52, $53, $54, $55, $56, $57, $58,
    $59, $60, $61, $62, $63, $64, $65, $66, $67, $68,
    $69,
    $70, $71, $72,
    $73, $74, $75, $76,
    $77,
    $78, $79, $80,
    $81, $82,
    $83, $84)

-- name: heads
SELECT t.id, e.originator_version, e.hash, t.num
FROM unnest(%s) AS x(id)
JOIN tree t ON t.id = x.id
CROSS JOIN LATERAL (
    SELECT originator_version, hash FROM stored_events
    WHERE originator_id = t.id ORDER BY originator_version DESC LIMIT 1
) e

-- name: hash_at
SELECT hash FROM stored_events WHERE originator_id = %s AND originator_version = %s

-- name: ids_taken
SELECT id FROM task WHERE id = ANY (%s::text[])

-- name: blob
SELECT data FROM blob WHERE hash = %s

-- name: stream
SELECT originator_version, topic, state, notification_id FROM stored_events
WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version LIMIT %s

-- name: log
SELECT originator_version, topic, state, notification_id, originator_id FROM stored_events
WHERE notification_id > %s ORDER BY notification_id LIMIT %s

-- name: chain
SELECT originator_version, topic, state, body_hash, hash FROM stored_events
WHERE originator_id = %s AND originator_version > %s ORDER BY originator_version LIMIT %s

-- name: position
SELECT MAX(notification_id) FROM stored_events

-- name: open_work
SELECT id, name, engine, epoch, released FROM tree WHERE phase = 'submitted' ORDER BY num

-- name: owner
SELECT id, name, engine, epoch, released FROM tree WHERE id = %s AND phase = 'submitted'
