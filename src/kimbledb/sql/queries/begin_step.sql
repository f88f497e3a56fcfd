-- The start of each migration's transaction: under the lock, is the world still as it
-- was when the plan was made?
BEGIN
{lock};
    IF (SELECT coalesce(max(id), 0) FROM {schema}.migration_log) <> {head} THEN
        RAISE EXCEPTION USING MESSAGE = 'another run was quicker', ERRCODE = 'KD002';
    END IF;
END
