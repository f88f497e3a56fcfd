-- One at a time makes schemas, extensions and history tables in a database:
-- IF NOT EXISTS alone fails when two do it at once.
BEGIN
    IF NOT pg_try_advisory_xact_lock({lock_class}, 0) THEN
        RAISE EXCEPTION USING MESSAGE = 'another run prepares the database', DETAIL = '[]', ERRCODE = 'KD001';
    END IF;
END
