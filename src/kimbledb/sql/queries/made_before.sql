-- The constraints, indexes and statistics that migrations made on tables that existed before them, as "kind name", and
-- the migrations of which the log has them.
SELECT jsonb_build_object(
    'migrations', coalesce(jsonb_agg(DISTINCT migration_name), '[]'),
    'made', coalesce(jsonb_agg(DISTINCT one.name) FILTER (WHERE one.name IS NOT NULL), '[]'))
FROM {schema}.migration_log
LEFT JOIN LATERAL jsonb_array_elements_text(detail->'made') AS one (name) ON true
WHERE event = 'apply' AND detail ? 'made'
