-- A failure, in a transaction of its own after the rollback. A later success replaces it.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
    entry bigint;
BEGIN
    IF step->>'event' = 'apply' THEN
        INSERT INTO {schema}.migration_history AS h
            (migration_name, applied_at, success, error_message, execution_time_ms, checksum, applied_by, kimbledb_version)
        VALUES (step->>'name', clock_timestamp(), false, step->>'error', (step->>'milliseconds')::integer, step->>'checksum',
                session_user, step->>'version')
        ON CONFLICT (migration_name) DO UPDATE SET
            applied_at = excluded.applied_at, success = false, error_message = excluded.error_message,
            execution_time_ms = excluded.execution_time_ms, checksum = excluded.checksum,
            applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version
        -- The success of another run is not overwritten.
        WHERE h.success IS NOT TRUE;
    END IF;
    INSERT INTO {schema}.migration_log (event, migration_name, execution_time_ms, checksum, error_message, kimbledb_version, detail)
    VALUES ('failure', step->>'name', (step->>'milliseconds')::integer, step->>'checksum', step->>'error', step->>'version',
            jsonb_build_object('during', step->>'event'))
    RETURNING id INTO entry;
    RAISE INFO USING MESSAGE = jsonb_build_object('head', entry)::text, ERRCODE = 'KD102';
END
