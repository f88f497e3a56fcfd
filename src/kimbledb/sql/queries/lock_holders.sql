-- The sessions of current runs.
SELECT coalesce(jsonb_agg(jsonb_build_object(
           'pid', busy.pid, 'application', a.application_name, 'state', a.state,
           'seconds', round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::numeric, 1),
           'query', a.query,
           'standbys', CASE a.wait_event WHEN 'SyncRep' THEN current_setting('synchronous_standby_names') END)), '[]')
FROM (
{at_work}
) AS busy
LEFT JOIN pg_stat_activity AS a ON a.pid = busy.pid
