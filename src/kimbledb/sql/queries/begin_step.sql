-- The start of each migration's transaction. Under the lock: is all code on the search_path of trusted roles, and is
-- the state still that of the plan?
BEGIN
{lock};
{guard};
    IF (SELECT coalesce(max(id), 0) FROM {schema}.migration_log) <> {head} THEN
        RAISE EXCEPTION USING MESSAGE = 'another run was quicker', ERRCODE = 'KD002';
    END IF;
    -- now() is the time at which the message arrived, and this may not be its first transaction.
    PERFORM set_config('kimbledb.began', extract(epoch FROM clock_timestamp())::text, true);
END
