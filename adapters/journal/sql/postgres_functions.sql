-- What a commit calls. Dropped and made again when a store of an older version is opened.
--
-- In the numbers below -k stands for the k-th tree made in the same transaction; `nums` are theirs.
CREATE FUNCTION apflow_tree_num(num bigint, nums bigint[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN num < 0 THEN nums[-num] ELSE num END
$$;

CREATE FUNCTION apflow_task_num(num bigint, nums bigint[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN num < 0 THEN (nums[-(num >> 20)] << 20) | (num & 1048575) ELSE num END
$$;

CREATE FUNCTION apflow_events(
    event_tree text[], event_version bigint[], event_topic text[], event_state bytea[],
    event_body_hash bytea[], event_hash bytea[],
    OUT last bigint
) LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(event_tree) > 0 THEN
        INSERT INTO stored_events
               (originator_id, originator_version, topic, state, body_hash, hash)
        SELECT * FROM unnest(event_tree, event_version, event_topic, event_state,
                             event_body_hash, event_hash);
        PERFORM pg_notify('stored_events', '');
        INSERT INTO tracking
        VALUES ('status', currval('stored_events_notification_id_seq'))
        ON CONFLICT (application_name) DO UPDATE SET notification_id = excluded.notification_id
        RETURNING notification_id INTO last;
    END IF;
END
$$;

CREATE FUNCTION apflow_states(
    nums bigint[],
    put_num bigint[], put_status text[], put_attempt bigint[], put_generation bigint[],
    put_progress double precision[], put_message text[], put_started_at text[],
    put_completed_at text[], put_ended bigint[],
    end_num bigint[], end_status text[], end_attempt bigint[], end_completed_at text[],
    end_ended bigint[], end_progress double precision[],
    touch_num bigint[], touch_version bigint[], touch_updated_at text[], touch_status text[]
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(put_num) > 0 THEN
        INSERT INTO task_state AS s
        SELECT apflow_task_num(x.num, nums), x.status, x.attempt, x.generation, x.progress,
               x.message, x.started_at, x.completed_at, x.ended
        FROM unnest(put_num, put_status, put_attempt, put_generation, put_progress, put_message,
                    put_started_at, put_completed_at, put_ended)
             AS x(num, status, attempt, generation, progress, message, started_at, completed_at,
                  ended)
        ON CONFLICT (num) DO UPDATE SET status = excluded.status, attempt = excluded.attempt,
            generation = excluded.generation, progress = excluded.progress,
            message = excluded.message, started_at = excluded.started_at,
            completed_at = excluded.completed_at, ended = excluded.ended;
    END IF;
    IF cardinality(end_num) > 0 THEN
        UPDATE task_state s
        SET status = x.status, attempt = x.attempt, completed_at = x.completed_at,
            ended = x.ended, progress = COALESCE(x.progress, s.progress)
        FROM unnest(end_num, end_status, end_attempt, end_completed_at, end_ended, end_progress)
             AS x(num, status, attempt, completed_at, ended, progress)
        WHERE s.num = x.num;
    END IF;
    IF cardinality(touch_num) > 0 THEN
        UPDATE tree t
        SET version = x.version, updated_at = x.updated_at, status = COALESCE(x.status, t.status)
        FROM unnest(touch_num, touch_version, touch_updated_at, touch_status)
             AS x(num, version, updated_at, status)
        WHERE t.num = x.num;
    END IF;
END
$$;

-- Refuses, with AF001 and the tree and the key, a slot for which no place is left.
CREATE FUNCTION apflow_take_slots(
    nums bigint[], slot_num bigint[], slot_key text[], slot_limit bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT apflow_task_num(x.num, nums) AS task, x.key, x.most
        FROM unnest(slot_num, slot_key, slot_limit) AS x(num, key, most)
    LOOP
        IF (SELECT count(*) FROM slot WHERE key = wanted.key AND task <> wanted.task)
           >= wanted.most THEN
            RAISE EXCEPTION 'no place is left under a concurrency key'
            USING ERRCODE = 'AF001', DETAIL = (
                SELECT json_build_array(id, wanted.key) FROM tree WHERE num = wanted.task >> 20);
        END IF;
        INSERT INTO slot VALUES (wanted.task, wanted.key)
        ON CONFLICT (task) DO UPDATE SET key = excluded.key;
    END LOOP;
END
$$;

-- Refuses, with AF002 and its id, a command that has an outcome.
CREATE FUNCTION apflow_answer(answer_id text[], answer_outcome text[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1 .. cardinality(answer_id) LOOP
        UPDATE inbox SET outcome = answer_outcome[i], answered_at = clock_timestamp()
        WHERE id = answer_id[i] AND outcome IS NULL;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'a command has an outcome already'
            USING ERRCODE = 'AF002', DETAIL = answer_id[i];
        END IF;
    END LOOP;
END
$$;

-- What most commits hold, in one call; an empty array leaves its table alone. One writer at a time,
-- until its transaction ends: so positions become visible in their order.
CREATE FUNCTION apflow_append(
    nums bigint[],
    event_tree text[], event_version bigint[], event_topic text[], event_state bytea[],
    event_body_hash bytea[], event_hash bytea[],
    put_num bigint[], put_status text[], put_attempt bigint[], put_generation bigint[],
    put_progress double precision[], put_message text[], put_started_at text[],
    put_completed_at text[], put_ended bigint[],
    end_num bigint[], end_status text[], end_attempt bigint[], end_completed_at text[],
    end_ended bigint[], end_progress double precision[],
    touch_num bigint[], touch_version bigint[], touch_updated_at text[], touch_status text[],
    OUT last bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1634755175, 'stored_events'::regclass::oid::integer);
    last := apflow_events(
        event_tree, event_version, event_topic, event_state, event_body_hash, event_hash);
    PERFORM apflow_states(
        nums,
        put_num, put_status, put_attempt, put_generation, put_progress, put_message,
        put_started_at, put_completed_at, put_ended, end_num, end_status, end_attempt,
        end_completed_at, end_ended, end_progress, touch_num, touch_version,
        touch_updated_at, touch_status);
END
$$;

-- The same with all that a commit can hold. Trees come before their events, so that a taken id is
-- told as such, and events before all else, so that a stale writer is. Deletions come before
-- additions, and slots are freed before others are taken. `nums` comes back with the numbers of the trees made here.
CREATE FUNCTION apflow_append_all(
    INOUT nums bigint[],
    event_tree text[], event_version bigint[], event_topic text[], event_state bytea[],
    event_body_hash bytea[], event_hash bytea[],
    put_num bigint[], put_status text[], put_attempt bigint[], put_generation bigint[],
    put_progress double precision[], put_message text[], put_started_at text[],
    put_completed_at text[], put_ended bigint[],
    end_num bigint[], end_status text[], end_attempt bigint[], end_completed_at text[],
    end_ended bigint[], end_progress double precision[],
    touch_num bigint[], touch_version bigint[], touch_updated_at text[], touch_status text[],
    tree_id text[], tree_uid text[], tree_name text[], tree_owner text[], tree_created_at text[],
    tree_request text[], tree_origin text[],
    change_num bigint[], change_version bigint[], change_updated_at text[], change_status text[],
    change_phase text[], change_engine text[], change_epoch bigint[], change_released boolean[],
    change_completed_at text[], change_paused boolean[],
    gone_tree bigint[], gone_task text[],
    moved_tree bigint[],
    task_num bigint[], task_id text[], task_key text[], task_name text[], task_parent text[],
    task_priority bigint[], task_dependencies text[], task_inputs text[], task_params text[],
    task_schemas text[], task_policy text[], task_created_at text[],
    spec_num bigint[], spec_key text[], spec_name text[], spec_parent text[],
    spec_priority bigint[], spec_dependencies text[], spec_inputs text[], spec_params text[],
    spec_schemas text[], spec_policy text[],
    returned_num bigint[],
    progress_num bigint[], progress_progress double precision[], progress_message text[],
    cancel_num bigint[], cancel_attempt bigint[], cancel_completed_at text[],
    cancel_ended bigint[],
    freed_num bigint[],
    slot_num bigint[], slot_key text[], slot_limit bigint[],
    answer_id text[], answer_outcome text[],
    blob_hash text[], blob_data bytea[],
    OUT last bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(1634755175, 'stored_events'::regclass::oid::integer);
    IF cardinality(tree_id) > 0 THEN
        WITH made AS (
            INSERT INTO tree (id, uid, name, owner, phase, status, version, created_at, updated_at,
                              request, origin)
            SELECT x.id, x.uid, x.name, x.owner, 'draft', 'pending', 0, x.created_at, x.created_at,
                   x.request, x.origin
            FROM unnest(tree_id, tree_uid, tree_name, tree_owner, tree_created_at, tree_request,
                        tree_origin)
                 AS x(id, uid, name, owner, created_at, request, origin)
            RETURNING num
        )
        SELECT nums || array_agg(num ORDER BY num) INTO nums FROM made;
    END IF;
    last := apflow_events(
        event_tree, event_version, event_topic, event_state, event_body_hash, event_hash);
    IF cardinality(change_num) > 0 THEN
        UPDATE tree t
        SET version = x.version, updated_at = x.updated_at, status = COALESCE(x.status, t.status),
            phase = COALESCE(x.phase, t.phase), engine = COALESCE(x.engine, t.engine),
            epoch = COALESCE(x.epoch, t.epoch), released = COALESCE(x.released, t.released),
            completed_at = NULLIF(COALESCE(x.completed_at, t.completed_at), ''),
            paused = COALESCE(x.paused, t.paused)
        FROM unnest(change_num, change_version, change_updated_at, change_status, change_phase,
                    change_engine, change_epoch, change_released, change_completed_at,
                    change_paused)
             AS x(num, version, updated_at, status, phase, engine, epoch, released, completed_at,
                  paused)
        WHERE t.num = apflow_tree_num(x.num, nums);
    END IF;
    IF cardinality(gone_task) > 0 THEN
        DELETE FROM task t USING unnest(gone_tree, gone_task) AS x(tree, id)
        WHERE t.id = x.id AND t.num >> 20 = x.tree;
    END IF;
    IF cardinality(moved_tree) > 0 THEN
        DELETE FROM task t USING unnest(moved_tree) AS x(num)
        WHERE t.num BETWEEN x.num << 20 AND (x.num << 20) + 1048575;
    END IF;
    IF cardinality(task_num) > 0 THEN
        INSERT INTO task (num, id, key, name, parent, priority, dependencies, inputs, params,
                          schemas, policy, created_at)
        SELECT apflow_task_num(x.num, nums), x.id, x.key, x.name, x.parent, x.priority,
               x.dependencies, x.inputs, x.params, x.schemas, x.policy, x.created_at
        FROM unnest(task_num, task_id, task_key, task_name, task_parent, task_priority,
                    task_dependencies, task_inputs, task_params, task_schemas, task_policy,
                    task_created_at)
             AS x(num, id, key, name, parent, priority, dependencies, inputs, params, schemas,
                  policy, created_at);
    END IF;
    IF cardinality(spec_num) > 0 THEN
        UPDATE task t
        SET key = x.key, name = x.name, parent = x.parent, priority = x.priority,
            dependencies = x.dependencies, inputs = x.inputs, params = x.params,
            schemas = x.schemas, policy = x.policy
        FROM unnest(spec_num, spec_key, spec_name, spec_parent, spec_priority, spec_dependencies,
                    spec_inputs, spec_params, spec_schemas, spec_policy)
             AS x(num, key, name, parent, priority, dependencies, inputs, params, schemas, policy)
        WHERE t.num = x.num;
    END IF;
    IF cardinality(returned_num) > 0 THEN
        UPDATE task_state
        SET status = 'pending', started_at = NULL, progress = 0, message = ''
        WHERE num = ANY (returned_num);
    END IF;
    IF cardinality(progress_num) > 0 THEN
        UPDATE task_state s SET progress = x.progress, message = x.message
        FROM unnest(progress_num, progress_progress, progress_message)
             AS x(num, progress, message)
        WHERE s.num = x.num;
    END IF;
    IF cardinality(cancel_num) > 0 THEN
        INSERT INTO task_state
        SELECT apflow_task_num(x.num, nums), 'cancelled', x.attempt, 1, 0, '', NULL,
               x.completed_at, x.ended
        FROM unnest(cancel_num, cancel_attempt, cancel_completed_at, cancel_ended)
             AS x(num, attempt, completed_at, ended)
        ON CONFLICT (num) DO UPDATE SET status = excluded.status, attempt = excluded.attempt,
            completed_at = excluded.completed_at, ended = excluded.ended;
    END IF;
    IF cardinality(freed_num) > 0 THEN
        DELETE FROM slot WHERE task = ANY (freed_num);
    END IF;
    IF cardinality(slot_num) > 0 THEN
        PERFORM apflow_take_slots(nums, slot_num, slot_key, slot_limit);
    END IF;
    IF cardinality(answer_id) > 0 THEN
        PERFORM apflow_answer(answer_id, answer_outcome);
    END IF;
    IF cardinality(blob_hash) > 0 THEN
        INSERT INTO blob SELECT * FROM unnest(blob_hash, blob_data)
        ON CONFLICT (hash) DO NOTHING;
    END IF;
    PERFORM apflow_states(
        nums,
        put_num, put_status, put_attempt, put_generation, put_progress, put_message,
        put_started_at, put_completed_at, put_ended, end_num, end_status, end_attempt,
        end_completed_at, end_ended, end_progress, touch_num, touch_version,
        touch_updated_at, touch_status);
END
$$;
