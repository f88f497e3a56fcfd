-- The last event of some migrations: its kind, time, role and application.
SELECT coalesce(jsonb_object_agg(migration_name, jsonb_build_array(event, logged_at, logged_by, application_name)), '{}')
FROM (
    SELECT DISTINCT ON (migration_name) migration_name, event, logged_at, logged_by, application_name
    FROM {schema}.migration_log WHERE migration_name = ANY ({names}) AND event IN ('apply', 'adopt', 'rollback')
    ORDER BY migration_name, id DESC
) AS entry
