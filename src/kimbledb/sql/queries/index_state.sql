-- How an index stands: missing, valid, invalid, or being built by somebody.
SELECT to_jsonb(coalesce((
    SELECT CASE
        WHEN i.indisvalid AND i.indisready THEN 'valid'
        WHEN EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.index_relid = c.oid AND p.pid <> pg_backend_pid())
            THEN 'being built'
        ELSE 'invalid'
    END
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_index AS i ON i.indexrelid = c.oid
    WHERE n.nspname = {schema} AND c.relname = {name}), 'missing'))
