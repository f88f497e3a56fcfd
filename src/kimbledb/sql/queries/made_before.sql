-- Which constraints, indexes and statistics migrations made on tables that were there before them, as
-- "kind name", and of which migrations that is known.
SELECT jsonb_build_object(
    'migrations', coalesce(jsonb_agg(DISTINCT migration_name), '[]'),
    'made', coalesce(jsonb_agg(DISTINCT one.name) FILTER (WHERE one.name IS NOT NULL), '[]'))
FROM {schema}.migration_log
LEFT JOIN LATERAL jsonb_array_elements_text(detail->'made') AS one (name) ON true
WHERE event = 'apply' AND detail ? 'made'
