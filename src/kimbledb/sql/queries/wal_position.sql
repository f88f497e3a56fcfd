-- The position of the write-ahead log after a COMMIT, if the role may read it.
BEGIN
    RAISE INFO USING MESSAGE = to_jsonb(pg_current_wal_insert_lsn()::text)::text, ERRCODE = 'KD103';
EXCEPTION
    WHEN insufficient_privilege THEN NULL;
END
