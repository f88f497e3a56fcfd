-- The state of a server process: its blockers (sessions, prepared transactions without a session, which show as process
-- 0, and a synchronous standby that its COMMIT waits for), and the index that it builds.
SELECT jsonb_build_object(
    'blockers', (
        SELECT coalesce(jsonb_agg(who), '[]')
        FROM (
            SELECT jsonb_build_object(
                       'pid', a.pid, 'application', a.application_name, 'state', a.state,
                       'seconds', round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::numeric, 1),
                       'query', a.query,
                       'standbys', CASE a.wait_event WHEN 'SyncRep' THEN current_setting('synchronous_standby_names') END)
            FROM unnest(pg_blocking_pids({pid})) AS b (pid)
            JOIN pg_stat_activity AS a ON a.pid = b.pid
            UNION ALL
            SELECT jsonb_build_object(
                       'prepared', p.gid, 'owner', p.owner,
                       'seconds', round(extract(epoch FROM clock_timestamp() - p.prepared)::numeric, 1))
            FROM pg_prepared_xacts AS p
            WHERE p.database = current_database() AND 0 = ANY (pg_blocking_pids({pid}))
            UNION ALL
            SELECT jsonb_build_object('pid', a.pid, 'application', a.application_name,
                                      'standbys', current_setting('synchronous_standby_names'))
            FROM pg_stat_activity AS a
            WHERE a.pid = {pid} AND a.wait_event = 'SyncRep'
        ) AS blocker (who)),
    'building', (
        SELECT jsonb_build_object(
                   -- The objects of an open transaction are invisible here, their names too.
                   'index', coalesce((SELECT relname FROM pg_class WHERE oid = p.index_relid),
                                     'on ' || (SELECT relname FROM pg_class WHERE oid = p.relid), 'on a new table'),
                   'phase', p.phase,
                   'percent', CASE WHEN p.phase LIKE 'waiting%' THEN 100.0 * p.lockers_done / nullif(p.lockers_total, 0)
                                   WHEN p.tuples_total > 0 THEN 100.0 * p.tuples_done / p.tuples_total
                                   ELSE 100.0 * p.blocks_done / nullif(p.blocks_total, 0) END)
        FROM pg_stat_progress_create_index AS p
        WHERE p.pid = {pid}))
