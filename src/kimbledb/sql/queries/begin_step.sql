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
    PERFORM set_config('kimbledb.transaction', pg_current_xact_id()::text, true);
    -- Relations of other schemas, to tell afterwards whether one has gone.
    PERFORM set_config('kimbledb.outside', (
        SELECT coalesce(string_agg(c.oid::text, ','), '')
        FROM pg_namespace AS n
        JOIN pg_depend AS d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid AND d.classid = 'pg_class'::regclass
        JOIN pg_class AS c ON c.oid = d.objid
        WHERE n.nspname <> {schema_literal} AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'v', 'm', 'S', 'p', 'f') AND c.oid >= 16384), true);
END
