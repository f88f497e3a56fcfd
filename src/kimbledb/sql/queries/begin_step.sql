-- The start of each migration's transaction, under the lock: is the world still as
-- it was when the plan was made?
DECLARE
    expected constant bigint := {head};
    head bigint;
BEGIN
    SELECT coalesce(max(id), 0) INTO head FROM {schema}.migration_log;
    IF head <> expected THEN
        RAISE EXCEPTION USING MESSAGE = 'another run was quicker', ERRCODE = 'KD002';
    END IF;
END
