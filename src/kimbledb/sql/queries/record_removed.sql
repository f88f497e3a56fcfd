-- Deletes rows of history. A log entry for each says that nothing was rolled back.
DECLARE
    stamped constant jsonb := current_setting('kimbledb.stamped')::jsonb;
    one text;
BEGIN
    FOR one IN SELECT * FROM jsonb_array_elements_text(stamped->'names') LOOP
        -- Another tool may have recorded it without `.sql`.
        DELETE FROM {schema}.migration_history WHERE migration_name IN (one, regexp_replace(one, '\.sql$', ''));
        INSERT INTO {schema}.migration_log (event, migration_name, kimbledb_version, detail)
        VALUES ('rollback', one, stamped->>'version', jsonb_build_object('stamped', true, 'run', stamped->>'run'));
    END LOOP;
END
