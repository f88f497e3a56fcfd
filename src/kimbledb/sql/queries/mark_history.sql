-- Before a script: which tables check_history.sql will ask about. A script may rename them.
SELECT pg_catalog.set_config('kimbledb.history', pg_catalog.jsonb_object_agg(c.relname, c.oid)::text, true)
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = {schema} AND c.relname IN ('migration_history', 'migration_log');
