-- Who holds up a server process: sessions, and transactions that were prepared and
-- have no session any more (they show as process 0).
SELECT coalesce(jsonb_agg(who), '[]')
FROM (
    SELECT jsonb_build_object(
               'pid', a.pid, 'application', a.application_name, 'state', a.state,
               'seconds', round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::numeric, 1),
               'query', a.query)
    FROM unnest(pg_blocking_pids({pid})) AS b (pid)
    JOIN pg_stat_activity AS a ON a.pid = b.pid
    UNION ALL
    SELECT jsonb_build_object(
               'prepared', p.gid, 'owner', p.owner,
               'seconds', round(extract(epoch FROM clock_timestamp() - p.prepared)::numeric, 1))
    FROM pg_prepared_xacts AS p
    WHERE p.database = current_database() AND 0 = ANY (pg_blocking_pids({pid}))
) AS blocker (who)
