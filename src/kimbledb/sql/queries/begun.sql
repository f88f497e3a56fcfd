-- Tells the client the state of the session, which the client restores after a rollback. It also shows that the
-- transaction has begun.
    RAISE INFO USING MESSAGE = pg_catalog.current_setting('kimbledb.session'), ERRCODE = 'KD105';
