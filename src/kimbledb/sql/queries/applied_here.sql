-- What the log says of the last application of each migration: what it made on tables that were there before it, and
-- which of its objects it found there. What is applied again finds what it made before.
SELECT coalesce(jsonb_object_agg(name, jsonb_build_array(detail->'made', detail->'found')), '{}')
FROM (
    SELECT DISTINCT ON (migration_name) migration_name, detail
    FROM {schema}.migration_log
    WHERE event = 'apply' AND (detail->'again') IS NULL
    ORDER BY migration_name, id DESC
) AS latest (name, detail)
