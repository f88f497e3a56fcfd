-- After a script: did it do something forbidden, and may it have lost rows or values? Both show in the locks that last
-- as long as the transaction. They are read once.
DECLARE
    -- Relations up to this oid existed before the script, if measure_before.sql noted it.
    newest constant bigint := coalesce((nullif(current_setting('kimbledb.before', true), '')::jsonb->>'newest')::bigint, 0);
    -- Locks of any relation: for writes or changes of a definition, for changes of a definition, for a new index.
    touched oid[];
    defined oid[];
    indexed oid[];
    -- Locks of a function or a type, for a drop or a change of its values.
    objects oid[];
    -- Locks of relations that existed before: for writes or changes, for changes, and for exclusive changes.
    written oid[];
    shaped oid[];
    changed oid[];
    planned constant text := current_setting('plan_cache_mode');
BEGIN
    -- A loop uses one plan for all.
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
