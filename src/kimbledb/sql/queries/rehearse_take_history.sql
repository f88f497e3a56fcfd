-- Gives a clone the history of the target. The triggers of history keep others from that.
BEGIN
    PERFORM pg_catalog.set_config('session_replication_role', 'replica', true);
    INSERT INTO {schema}.migration_history OVERRIDING SYSTEM VALUE
    SELECT given.* FROM pg_catalog.jsonb_populate_recordset(NULL::{schema}.migration_history, {rows}) AS given;
    PERFORM pg_catalog.set_config('session_replication_role', 'origin', true);
END
