-- History rows for migrations whose objects were found, with what proves them.
DECLARE
    adopted constant jsonb := current_setting('kimbledb.adopted')::jsonb;
    one jsonb;
BEGIN
    FOR one IN SELECT * FROM jsonb_array_elements(adopted->'rows') LOOP
        INSERT INTO {schema}.migration_history AS h
            (migration_name, applied_at, success, checksum, applied_by, kimbledb_version, adopted, evidence)
        VALUES (one->>'name', clock_timestamp(), true, one->>'checksum', session_user, adopted->>'version', true, one->'evidence')
        ON CONFLICT (migration_name) DO UPDATE SET
            applied_at = excluded.applied_at, success = true, error_message = NULL, checksum = excluded.checksum,
            applied_by = excluded.applied_by, kimbledb_version = excluded.kimbledb_version, adopted = true,
            evidence = excluded.evidence
        WHERE h.success IS NOT TRUE;
        INSERT INTO {schema}.migration_log (event, migration_name, checksum, kimbledb_version, detail)
        VALUES ('adopt', one->>'name', one->>'checksum', adopted->>'version', one->'evidence');
    END LOOP;
END
