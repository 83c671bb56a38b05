-- name: beat
WITH former AS (
    SELECT beat > clock_timestamp() - make_interval(secs => %(lease)s) AS held
    FROM lease WHERE engine = %(engine)s
), swept AS (
    DELETE FROM lease WHERE beat < clock_timestamp() - interval '1 day' AND engine <> %(engine)s
)
INSERT INTO lease (engine, beat, executors)
VALUES (%(engine)s, clock_timestamp(), %(executors)s)
ON CONFLICT (engine) DO UPDATE SET beat = excluded.beat, executors = excluded.executors
RETURNING COALESCE((SELECT held FROM former), false)

-- name: is_held
SELECT EXISTS (
    SELECT FROM lease
    WHERE engine = %(engine)s AND beat > clock_timestamp() - make_interval(secs => %(lease)s)
)

-- name: engines
SELECT engine, executors FROM lease
WHERE beat > clock_timestamp() - make_interval(secs => %(lease)s) ORDER BY engine

-- name: leave
DELETE FROM lease WHERE engine = %s
