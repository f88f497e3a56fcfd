-- From the log of the last application of each migration: its objects on tables that existed before it, and its objects
-- that existed already. An application that found its own objects again (`again`) does not count.
SELECT coalesce(jsonb_object_agg(name, jsonb_build_array(detail->'made', detail->'found')), '{}')
FROM (
    SELECT DISTINCT ON (migration_name) migration_name, detail
    FROM {schema}.migration_log
    WHERE event = 'apply' AND (detail->'again') IS NULL
    ORDER BY migration_name, id DESC
) AS latest (name, detail)
