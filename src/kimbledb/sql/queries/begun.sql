-- To the client, what the session holds: it takes back what a rollback leaves. This shows that the transaction has begun.
    RAISE INFO USING MESSAGE = pg_catalog.current_setting('kimbledb.session'), ERRCODE = 'KD105';
