-- Schemas that migrations made. The target schema is no object.
SELECT 'schema', left(home.prefix, -1), '{}'::json, NULL::jsonb, n.tableoid, n.oid, 0, n.nspowner, NULL
FROM home
JOIN pg_catalog.pg_namespace AS n ON n.oid = home.oid
WHERE home.own
