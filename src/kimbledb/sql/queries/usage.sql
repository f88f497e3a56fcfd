-- The use of the schema's tables, and the load of the database, by the server's own statistics: nothing is counted or
-- locked. Sizes are those of the last vacuum or analyze.
SELECT jsonb_build_object(
    'tables', coalesce((
        SELECT jsonb_agg(jsonb_build_array(c.relname, s.n_live_tup, size.bytes, s.seq_scan, coalesce(s.idx_scan, 0), unused.names)
                         ORDER BY s.n_live_tup DESC, c.relname)
        FROM pg_class AS c
        JOIN pg_stat_all_tables AS s ON s.relid = c.oid
        CROSS JOIN LATERAL (
            SELECT current_setting('block_size')::bigint * (c.relpages + coalesce((
                SELECT sum(i.relpages) FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), 0))
        ) AS size (bytes)
        CROSS JOIN LATERAL (
            -- A unique index is used without any scan.
            SELECT coalesce(jsonb_agg(u.indexrelname ORDER BY u.indexrelname), '[]')
            FROM pg_stat_all_indexes AS u JOIN pg_index AS x ON x.indexrelid = u.indexrelid
            WHERE u.relid = c.oid AND u.idx_scan = 0 AND NOT x.indisunique
        ) AS unused (names)
        WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})
          AND c.relkind IN ('r', 'p', 'm') AND c.relname NOT IN ('migration_history', 'migration_log')), '[]'),
    'load', (
        SELECT jsonb_build_array(
            count(*) FILTER (WHERE a.datname = current_database()),
            count(*) FILTER (WHERE a.datname = current_database() AND a.state = 'active' AND a.pid <> pg_backend_pid()),
            count(*) FILTER (WHERE a.datname = current_database() AND a.wait_event_type = 'Lock'),
            current_setting('max_connections')::integer,
            coalesce(round(max(extract(epoch FROM clock_timestamp() - a.xact_start))
                           FILTER (WHERE a.datname = current_database() AND a.pid <> pg_backend_pid())::numeric, 1), 0),
            (SELECT round(100.0 * d.blks_hit / nullif(d.blks_hit + d.blks_read, 0), 1) FROM pg_stat_database AS d
             WHERE d.datname = current_database()))
        FROM pg_stat_activity AS a))
