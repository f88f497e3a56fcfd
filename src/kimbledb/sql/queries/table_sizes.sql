-- The tables of a schema with the facts on which the duration of a change depends: the number of rows (the server's
-- estimate, or null without one), bytes with and without indexes, columns, constraints; and the indexes. A query of a
-- size waits for a lock on the table: for a locked table the size is estimated, too.
SELECT jsonb_build_object(
    'tables', coalesce((
        SELECT jsonb_object_agg(c.relname, jsonb_build_object(
            -- An estimate of no rows is worthless if the table has grown since.
            'rows', CASE WHEN c.reltuples > 0 THEN c.reltuples::bigint
                         WHEN c.reltuples = 0 AND (busy OR c.relpages * current_setting('block_size')::bigint = pg_catalog.pg_relation_size(c.oid)) THEN 0 END,
            'busy', busy,
            'filled', CASE WHEN c.relkind = 'p' OR busy THEN true ELSE pg_catalog.pg_relation_size(c.oid) > 0 END,
            'bytes', CASE WHEN busy THEN c.relpages * current_setting('block_size')::bigint ELSE pg_catalog.pg_total_relation_size(c.oid) END,
            'own_bytes', CASE WHEN busy THEN c.relpages * current_setting('block_size')::bigint ELSE pg_catalog.pg_table_size(c.oid) END,
            'columns', (SELECT coalesce(jsonb_object_agg(a.attname, jsonb_build_array(pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull)), '{}')
                        FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
            'constraints', (SELECT coalesce(jsonb_agg(k.conname), '[]') FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = c.oid)))
        FROM pg_catalog.pg_class AS c
        CROSS JOIN LATERAL (SELECT EXISTS (
            SELECT FROM pg_catalog.pg_locks AS l
            WHERE l.locktype = 'relation' AND l.relation = c.oid AND l.mode = 'AccessExclusiveLock'
              AND l.database = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database()))) AS lock (busy)
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'm')), '{}'),
    'indexes', coalesce((
        SELECT jsonb_object_agg(x.relname, t.relname)
        FROM pg_catalog.pg_class AS x
        JOIN pg_catalog.pg_index AS i ON i.indexrelid = x.oid
        JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
        WHERE x.relnamespace = n.oid), '{}'))
FROM (SELECT (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {schema})) AS n (oid)
