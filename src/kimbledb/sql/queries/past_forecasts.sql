-- What was foreseen of migrations, in seconds at the least and at the most, and how many milliseconds each took: the newest.
SELECT coalesce(jsonb_agg(jsonb_build_array(entry.low, entry.high, entry.taken)), '[]')
FROM (
    SELECT detail->'forecast'->0 AS low, detail->'forecast'->1 AS high, execution_time_ms AS taken
    FROM {schema}.migration_log
    WHERE event = 'apply' AND jsonb_typeof(detail->'forecast') = 'array' AND execution_time_ms IS NOT NULL
    ORDER BY id DESC LIMIT 1000
) AS entry
