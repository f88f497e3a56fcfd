-- Takes one of our advisory locks, or names its holder. No session waits for it: a waiting session would block a CREATE
-- INDEX CONCURRENTLY. The lock ends with its transaction, and so is safe behind a transaction pooler.
DECLARE
    holders jsonb;
BEGIN
    IF NOT {function}({lock_class}, {lock_key}) THEN
        SELECT jsonb_agg(jsonb_build_object(
                   'pid', l.pid, 'application', a.application_name, 'state', a.state,
                   'seconds', round(extract(epoch FROM clock_timestamp() - coalesce(a.xact_start, a.state_change))::numeric, 1),
                   'query', a.query,
                   'standbys', CASE a.wait_event WHEN 'SyncRep' THEN current_setting('synchronous_standby_names') END))
        INTO holders
        FROM pg_locks AS l
        LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
        WHERE l.locktype = 'advisory' AND l.granted
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.classid = {lock_class} AND l.objid::bigint = {lock_key}::bigint & 4294967295;
        RAISE EXCEPTION USING MESSAGE = 'another run holds the lock', DETAIL = coalesce(holders, '[]')::text, ERRCODE = 'KD001';
    END IF;
    RAISE INFO USING MESSAGE = pg_backend_pid()::text, ERRCODE = 'KD104';
END
