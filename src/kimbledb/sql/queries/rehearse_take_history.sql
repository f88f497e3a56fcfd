-- Writes the history of the target into a clone. The triggers of history refuse this to others.
BEGIN
    PERFORM pg_catalog.set_config('session_replication_role', 'replica', true);
    INSERT INTO {schema}.migration_history OVERRIDING SYSTEM VALUE
    SELECT given.* FROM pg_catalog.jsonb_populate_recordset(NULL::{schema}.migration_history, {rows}) AS given;
    PERFORM pg_catalog.set_config('session_replication_role', 'origin', true);
END
