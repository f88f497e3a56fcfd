-- History rows for migrations whose objects were found, with the proof. A row of another tool stays, with its time.
DECLARE
    adopted constant jsonb := current_setting('kimbledb.adopted')::jsonb;
    one jsonb;
BEGIN
    FOR one IN SELECT * FROM jsonb_array_elements(adopted->'rows') LOOP
        -- Without the end of its name it would not be found again by its full one.
        UPDATE {schema}.migration_history AS h SET migration_name = one->>'name'
        WHERE h.migration_name = one->>'recorded'
          AND NOT EXISTS (SELECT FROM {schema}.migration_history AS full_name WHERE full_name.migration_name = one->>'name');
        INSERT INTO {schema}.migration_history AS h
            (migration_name, applied_at, success, checksum, applied_by, kimbledb_version, adopted, evidence)
        VALUES (one->>'name', clock_timestamp(), true, one->>'checksum', session_user, adopted->>'version', true, one->'evidence')
        ON CONFLICT (migration_name) DO UPDATE SET
            applied_at = CASE WHEN h.success THEN h.applied_at ELSE excluded.applied_at END,
            applied_by = CASE WHEN h.success THEN h.applied_by ELSE excluded.applied_by END,
            success = true, error_message = NULL, checksum = excluded.checksum,
            kimbledb_version = excluded.kimbledb_version, adopted = true, evidence = excluded.evidence
        WHERE h.success IS NOT TRUE OR (h.kimbledb_version IS NULL AND NOT h.adopted);
        INSERT INTO {schema}.migration_log (event, migration_name, checksum, kimbledb_version, detail)
        VALUES ('adopt', one->>'name', one->>'checksum', adopted->>'version',
                one->'evidence' || jsonb_build_object('run', adopted->>'run'));
    END LOOP;
    -- That it looked is worth an entry where it found nothing, too: migrate() goes on from
    -- there. What stays in a form of its own is no drift later.
    IF adopted->'rows' = '[]' OR adopted->'kept' <> '{}' THEN
        INSERT INTO {schema}.migration_log (event, kimbledb_version, detail)
        VALUES ('adopt', adopted->>'version', jsonb_build_object('kept', adopted->'kept', 'run', adopted->>'run'));
    END IF;
END
