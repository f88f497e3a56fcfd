-- After a script: may something of what was there before it (measure_before.sql) have gone? Most
-- scripts take nothing, which takes less to see than to tell what one took.
DECLARE
    before constant jsonb := current_setting('kimbledb.before');
    -- Locks that last as long as the transaction: of who writes rows, and of who changes a table.
    written oid[];
    changed oid[];
    shaped oid[];
BEGIN
    SELECT coalesce(array_agg(DISTINCT relation), '{}') || 'pg_largeobject_metadata'::regclass::oid,
           coalesce(array_agg(DISTINCT relation) FILTER (WHERE mode = 'AccessExclusiveLock'), '{}'),
           coalesce(array_agg(DISTINCT relation) FILTER (WHERE mode <> 'RowExclusiveLock'), '{}')
    INTO written, changed, shaped
    FROM pg_locks
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND mode NOT IN ('AccessShareLock', 'RowShareLock');
    -- What it made on tables that were there: a rollback tells it from what was made by hand.
    IF EXISTS (SELECT FROM unnest(shaped) AS oid WHERE oid >= 16384 AND oid::bigint <= (before->>'newest')::bigint) THEN
        PERFORM set_config('kimbledb.made', coalesce(jsonb_agg(kind || ' ' || name), '[]')::text, true)
        FROM (
{parts}
        ) AS part (kind, name, owner, writer)
        WHERE owner::bigint <= (before->>'newest')::bigint AND age(writer) <= age(pg_current_xact_id()::xid);
    END IF;
    IF {telling} OR current_setting('kimbledb.suspects') <> '[]'
       OR NOT ((before->>'counting')::boolean AND current_setting('track_counts')::boolean)
       OR EXISTS (SELECT FROM unnest(changed) AS oid WHERE before->'relations' ? oid::text)
       OR EXISTS (
           SELECT FROM unnest(written) AS oid
           WHERE pg_stat_get_xact_tuples_deleted(oid) + pg_stat_get_xact_tuples_updated(oid)
               > coalesce((before->'counts'->oid::text->>0)::bigint + (before->'counts'->oid::text->>1)::bigint, 0))
       OR EXISTS (SELECT FROM pg_class WHERE oid = ANY (written) AND relkind = 'f')
       OR EXISTS (SELECT FROM unnest(written) AS oid WHERE before->'sequences' ? oid::text)
       OR EXISTS (SELECT FROM unnest(shaped) AS oid WHERE before->'relations'->oid::text->>1 = 'S')
    THEN
        PERFORM set_config('kimbledb.written', written::text, true), set_config('kimbledb.changed', changed::text, true),
                set_config('kimbledb.shaped', shaped::text, true);
        -- Text, so that the server does not read it where it is not wanted.
        EXECUTE {losses};
    END IF;
END
