-- The locks under which kimbledb bootstraps a database and applies migrations. The rendered file does not wait for a
-- lock.
BEGIN
    IF NOT pg_try_advisory_xact_lock({lock_class}, {bootstrap_key}) OR NOT pg_try_advisory_xact_lock({lock_class}, {lock_key}) THEN
        RAISE EXCEPTION 'kimbledb is at work on this database' USING HINT = 'run it again when that is done';
    END IF;
END
