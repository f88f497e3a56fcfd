-- History begins anew; the log continues, with an entry for the objects that were removed.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
    entry bigint;
BEGIN
    INSERT INTO {schema}.migration_log (event, execution_time_ms, kimbledb_version, detail)
    VALUES ('reset', greatest(0, round(extract(epoch FROM clock_timestamp() - now()) * 1000)), step->>'version', step->'detail')
    RETURNING id INTO entry;
    RAISE INFO USING MESSAGE = jsonb_build_object('head', entry, 'milliseconds', 0)::text, ERRCODE = 'KD102';
END
