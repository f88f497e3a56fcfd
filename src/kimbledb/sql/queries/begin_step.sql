-- The start of each migration's transaction: the lock, and whether the world is
-- still as it was when the plan was made. The lock lives and dies with the
-- transaction, so it is safe behind a transaction pooler.
DECLARE
    holders jsonb;
    head bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock({lock_class}, {lock_key}) THEN
        SELECT jsonb_agg(jsonb_build_object(
                   'pid', a.pid, 'application', a.application_name, 'state', a.state,
                   'seconds', round(extract(epoch FROM clock_timestamp() - a.xact_start)::numeric, 1),
                   'query', left(a.query, 200)))
        INTO holders
        FROM pg_locks AS l
        LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
        WHERE l.locktype = 'advisory' AND l.granted
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND l.classid = {lock_class} AND l.objid::bigint = {lock_key}::bigint & 4294967295;
        RAISE EXCEPTION USING MESSAGE = 'another run holds the lock', DETAIL = coalesce(holders, '[]')::text, ERRCODE = 'KD001';
    END IF;
    SELECT coalesce(max(id), 0) INTO head FROM {schema}.migration_log;
    IF head <> {head} THEN
        RAISE EXCEPTION USING MESSAGE = 'another run was quicker', ERRCODE = 'KD002';
    END IF;
    PERFORM set_config('kimbledb.transaction', pg_current_xact_id()::text, true);
    -- Relations of other schemas, to tell afterwards whether one has gone.
    PERFORM set_config('kimbledb.outside', (
        SELECT coalesce(string_agg(c.oid::text, ','), '')
        FROM pg_class AS c
        WHERE c.relkind IN ('r', 'v', 'm', 'S', 'p', 'f') AND c.oid >= 16384
          AND c.relnamespace <> (SELECT oid FROM pg_namespace WHERE nspname = {schema_literal})), true);
END
