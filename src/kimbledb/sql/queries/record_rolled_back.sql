-- The history row goes, the log entry stays, in the rollback's own transaction.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
    taken constant integer := greatest(0, round(extract(epoch FROM clock_timestamp() - now()) * 1000));
    entry bigint;
BEGIN
    -- Another hand may have recorded it without the end of its name.
    DELETE FROM {schema}.migration_history
    WHERE migration_name IN (step->>'name', regexp_replace(step->>'name', '\.sql$', ''));
    INSERT INTO {schema}.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    VALUES ('rollback', step->>'name', taken, step->>'checksum', step->>'version', step->'detail')
    RETURNING id INTO entry;
    RAISE INFO USING MESSAGE = jsonb_build_object('head', entry, 'milliseconds', taken)::text, ERRCODE = 'KD102';
END
