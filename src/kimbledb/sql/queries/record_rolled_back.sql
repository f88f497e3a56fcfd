-- Deletes the history row and writes the log entry, in the rollback's own transaction. An object that has its earlier
-- form again may be printed differently if the rollback used the server's own text: the record of the migration that
-- gave it that form then counts as one of another database, until a writing operation renews it.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
    taken constant integer := greatest(0, round(extract(epoch FROM clock_timestamp() - now()) * 1000));
    forms constant jsonb := {forms};
    entry bigint;
    one record;
BEGIN
    -- Another tool may have recorded it without `.sql`.
    DELETE FROM {schema}.migration_history
    WHERE migration_name IN (step->>'name', regexp_replace(step->>'name', '\.sql$', ''));
    FOR one IN
        SELECT restored.place->>0 AS migration, restored.place->>1 AS key, forms->'forms'->restored.key AS form
        FROM jsonb_each({restored}) AS restored (key, place)
        WHERE forms->'forms' ? restored.key
    LOOP
        UPDATE {schema}.migration_history AS h SET forms = jsonb_set(h.forms, '{table}', '0')
        WHERE h.migration_name = one.migration AND h.forms->'forms'->one.key IS DISTINCT FROM one.form AND h.forms IS NOT NULL;
    END LOOP;
    INSERT INTO {schema}.migration_log (event, migration_name, execution_time_ms, checksum, kimbledb_version, detail)
    VALUES ('rollback', step->>'name', taken, step->>'checksum', step->>'version', step->'detail')
    RETURNING id INTO entry;
    RAISE INFO USING MESSAGE = jsonb_build_object('head', entry, 'milliseconds', taken)::text, ERRCODE = 'KD102';
END
