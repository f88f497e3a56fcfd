-- The properties of a foreign migration_history that prevent a takeover, each as one difference from the expected
-- shape. history_takeover.sql repairs all others.
SELECT coalesce(jsonb_agg(difference ORDER BY difference), '[]')
FROM (
    SELECT format('migration_history is a %s, and a table is needed',
                  CASE c.relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
                                 WHEN 'p' THEN 'partitioned table' WHEN 'S' THEN 'sequence' ELSE 'relation of another kind' END)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname = 'migration_history' AND c.relkind <> 'r'
    UNION ALL
    SELECT 'migration_history has no column migration_name'
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname = 'migration_history'
      AND NOT EXISTS (SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'migration_name' AND NOT a.attisdropped)
    UNION ALL
    SELECT format('column migration_history.%s is %s, and %s is needed', a.attname, format_type(a.atttypid, a.atttypmod), wanted.types[1])
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN (VALUES ('migration_name', ARRAY['text', 'character varying', 'name']),
                 ('applied_at', ARRAY['timestamp with time zone', 'timestamp without time zone', 'date']),
                 ('success', ARRAY['boolean']),
                 ('error_message', ARRAY['text', 'character varying']),
                 ('execution_time_ms', ARRAY['integer', 'bigint', 'numeric', 'smallint', 'double precision']),
                 ('checksum', ARRAY['text', 'character varying']),
                 ('applied_by', ARRAY['text', 'character varying', 'name']),
                 ('kimbledb_version', ARRAY['text', 'character varying']),
                 ('adopted', ARRAY['boolean']),
                 ('evidence', ARRAY['jsonb']),
                 ('forms', ARRAY['jsonb'])) AS wanted (name, types) ON wanted.name = a.attname
    WHERE n.nspname = {schema} AND c.relname = 'migration_history' AND c.relkind = 'r'
      AND (format_type(a.atttypid, NULL) <> ALL (wanted.types) OR a.attgenerated <> '')
    UNION ALL
    -- kimbledb could not write a row. An `id` of whole numbers gets a sequence.
    SELECT format('column migration_history.%s is not null and has no default, and nothing is known to write there', a.attname)
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = {schema} AND c.relname = 'migration_history' AND c.relkind = 'r'
      AND a.attnotnull AND NOT a.atthasdef AND a.attidentity = ''
      AND a.attname NOT IN ('migration_name', 'applied_at', 'success', 'error_message', 'execution_time_ms', 'checksum',
                            'applied_by', 'kimbledb_version', 'adopted', 'evidence', 'forms')
      AND NOT (a.attname = 'id' AND format_type(a.atttypid, NULL) IN ('smallint', 'integer', 'bigint'))
    UNION ALL
    -- An application may have a table of that name. Ours has these columns and no others.
    SELECT 'migration_log is there, and is not the log of kimbledb'
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relname = 'migration_log'
      AND (c.relkind <> 'r' OR (
          SELECT array_agg(format('%s %s', a.attname, format_type(a.atttypid, NULL)) ORDER BY a.attname)
          FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      ) IS DISTINCT FROM ARRAY[
          'application_name text', 'checksum text', 'client_address inet', 'detail jsonb', 'error_message text', 'event text',
          'execution_time_ms integer', 'id bigint', 'kimbledb_version text', 'logged_at timestamp with time zone',
          'logged_by text', 'migration_name text'])
) AS found (difference)
