-- The forecasts of migrations, as the least and the most seconds, and the milliseconds that each took: the newest.
SELECT coalesce(jsonb_agg(jsonb_build_array(entry.low, entry.high, entry.taken)), '[]')
FROM (
    SELECT detail->'forecast'->0 AS low, detail->'forecast'->1 AS high, execution_time_ms AS taken
    FROM {schema}.migration_log
    WHERE event = 'apply' AND jsonb_typeof(detail->'forecast') = 'array' AND execution_time_ms IS NOT NULL
    ORDER BY id DESC LIMIT 1000
) AS entry
