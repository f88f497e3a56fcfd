-- The server processes of current runs: those that hold one of our transaction locks, and those that hold a session's
-- claim (ready.sql) and are active, or were within two seconds: between two migrations the lock is free for a moment,
-- and a client may be frozen. Only a hint, since a run may end or begin at any moment.
SELECT l.pid FROM pg_locks AS l LEFT JOIN LATERAL pg_stat_get_activity(l.pid) AS a ON true
WHERE l.locktype = 'advisory' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.objid::bigint = ANY (ARRAY[{keys}]::bigint[])
  AND (l.classid = {lock_class}
       OR l.classid = {claim_class} AND (a.state = 'active' OR clock_timestamp() - a.state_change < interval '2 seconds'))
