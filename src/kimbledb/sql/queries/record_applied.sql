-- The history row and the log entry of a migration, in its own transaction.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
    taken constant integer := greatest(0, round(extract(epoch FROM clock_timestamp() - now()) * 1000));
    entry bigint;
BEGIN
    INSERT INTO {schema}.migration_history AS h
        (migration_name, applied_at, success, error_message, execution_time_ms, checksum, applied_by, kimbledb_version, adopted, evidence)
    VALUES (step->>'name', clock_timestamp(), true, NULL, taken, step->>'checksum', session_user, step->>'version', false, NULL)
    ON CONFLICT (migration_name) DO UPDATE SET
        applied_at = excluded.applied_at, success = true, error_message = NULL, execution_time_ms = excluded.execution_time_ms,
        checksum = excluded.checksum, applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version,
        adopted = false, evidence = NULL;
    INSERT INTO {schema}.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    VALUES ('apply', step->>'name', taken, step->>'checksum', step->>'version', step->'detail')
    RETURNING id INTO entry;
    RAISE INFO USING MESSAGE = jsonb_build_object('head', entry, 'milliseconds', taken)::text, ERRCODE = 'KD102';
END
