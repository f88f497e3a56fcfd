-- After a script: did it do something forbidden, and may it have lost rows or values? Both show in the locks that last
-- as long as the transaction. They are read once.
DECLARE
    -- Relations as old as this are those that were there before the script, where measure_before.sql noted it.
    newest constant bigint := coalesce((nullif(current_setting('kimbledb.before', true), '')::jsonb->>'newest')::bigint, 0);
    -- Of any relation the lock of who writes rows or changes a definition; of who changes a definition; of who makes an index.
    touched oid[];
    defined oid[];
    indexed oid[];
    -- Of a function or a type the lock of who drops it or alters its values.
    objects oid[];
    -- Of relations that were there before: of who writes rows or changes it, of who changes it, and of who changes it alone.
    written oid[];
    shaped oid[];
    changed oid[];
    planned constant text := current_setting('plan_cache_mode');
BEGIN
    -- In a loop one plan serves all.
    PERFORM set_config('plan_cache_mode', 'force_generic_plan', true);
    SELECT array_agg(relation), array_agg(relation) FILTER (WHERE relation >= 16384 AND mode <> 'RowExclusiveLock'),
           array_agg(relation) FILTER (WHERE mode = 'ShareLock'),
           array_agg(objid) FILTER (WHERE mode IN ('ExclusiveLock', 'AccessExclusiveLock') AND classid IN ('pg_proc'::regclass, 'pg_type'::regclass)),
           array_agg(relation) FILTER (WHERE old), array_agg(relation) FILTER (WHERE old AND mode <> 'RowExclusiveLock'),
           array_agg(relation) FILTER (WHERE old AND mode = 'AccessExclusiveLock')
    INTO touched, defined, indexed, objects, written, shaped, changed
    FROM pg_lock_status() CROSS JOIN LATERAL (SELECT relation >= 16384 AND relation::bigint <= newest) AS is_there (old)
    WHERE pid = pg_backend_pid() AND locktype IN ('relation', 'object') AND mode NOT IN ('AccessShareLock', 'RowShareLock');
{parts}
    PERFORM set_config('plan_cache_mode', planned, true);
END
