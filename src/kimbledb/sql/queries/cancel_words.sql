-- The server's message for a cancelled statement. One SQLSTATE stands for all causes, and the message depends on the
-- server's language: so this block has a statement cancelled and returns the message.
BEGIN
    IF {by_hand} THEN
        PERFORM pg_cancel_backend(pg_backend_pid());
    END IF;
    PERFORM pg_sleep(60);
EXCEPTION
    WHEN query_canceled THEN
        RAISE INFO USING MESSAGE = to_jsonb(SQLERRM)::text, ERRCODE = 'KD100';
END
