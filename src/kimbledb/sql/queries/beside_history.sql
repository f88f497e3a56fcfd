-- Triggers on the tables of history that kimbledb did not make: each write fires them.
SELECT coalesce(jsonb_agg(pg_catalog.format('the trigger %I on %s, which calls %s', t.tgname, t.tgrelid::regclass, t.tgfoid::regprocedure)
                          ORDER BY t.tgrelid, t.tgname), '[]')
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace AND n.nspname = {schema}
JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgname <> 'migration_log_is_append_only'
WHERE c.relname IN ('migration_history', 'migration_log')
