-- In which words the server says that a statement was cancelled. The code is one for all
-- causes, and the words depend on the server's language: so it happens here once more.
BEGIN
    IF {by_hand} THEN
        PERFORM pg_cancel_backend(pg_backend_pid());
    END IF;
    PERFORM pg_sleep(60);
EXCEPTION
    WHEN query_canceled THEN
        RAISE INFO USING MESSAGE = to_jsonb(SQLERRM)::text, ERRCODE = 'KD100';
END
