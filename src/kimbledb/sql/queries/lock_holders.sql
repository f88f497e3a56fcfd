-- Who holds one of our locks: a run that is at work.
SELECT coalesce(jsonb_agg(jsonb_build_object(
           'pid', l.pid, 'application', a.application_name, 'state', a.state,
           'seconds', round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::numeric, 1),
           'query', a.query,
           'standbys', CASE a.wait_event WHEN 'SyncRep' THEN current_setting('synchronous_standby_names') END)), '[]')
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE {at_work}
