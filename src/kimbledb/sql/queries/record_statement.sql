-- The intent to run a statement outside of a transaction, and that it is done.
DECLARE
    step constant jsonb := current_setting('kimbledb.step')::jsonb;
BEGIN
    INSERT INTO {schema}.migration_log (event, migration_name, checksum, kimbledb_version, detail)
    VALUES ('statement', step->>'name', step->>'checksum', step->>'version', step->'detail');
END
