-- How far the write-ahead log is after a COMMIT, where the role may know.
BEGIN
    RAISE INFO USING MESSAGE = to_jsonb(pg_current_wal_insert_lsn()::text)::text, ERRCODE = 'KD103';
EXCEPTION
    WHEN insufficient_privilege THEN NULL;
END
