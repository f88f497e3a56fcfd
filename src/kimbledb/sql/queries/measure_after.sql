-- After a script: may something of what was there before it (measure_before.sql) have gone? Most
-- scripts take nothing, which takes less to see than to tell what one took. Where nothing of it was read, the script
-- runs again.
DECLARE
    before constant jsonb := current_setting('kimbledb.before');
    newest constant bigint := before->>'newest';
    light constant boolean := before ? 'light';
    -- Locks that last as long as the transaction: of who writes rows, and of who changes a table. Of each
    -- only those of relations that were there before, and of large objects.
    written oid[];
    changed oid[];
    shaped oid[];
    large_objects constant oid := 'pg_largeobject_metadata'::regclass;
    signs boolean;
    counted boolean;
BEGIN
    SELECT array_agg(relation), array_agg(relation) FILTER (WHERE mode = 'AccessExclusiveLock'),
           array_agg(relation) FILTER (WHERE mode <> 'RowExclusiveLock'),
           bool_or(pg_stat_get_xact_tuples_deleted(relation) + pg_stat_get_xact_tuples_updated(relation)
                   > coalesce((before->'counts'->relation::text->>0)::bigint + (before->'counts'->relation::text->>1)::bigint, 0))
    INTO written, changed, shaped, signs
    FROM pg_lock_status()
    WHERE pid = pg_backend_pid() AND locktype = 'relation' AND relation >= 16384 AND relation::bigint <= newest
      AND mode NOT IN ('AccessShareLock', 'RowShareLock');
    -- What it made on tables that were there: a rollback tells it from what was made by hand.
    IF shaped IS NOT NULL THEN
        PERFORM set_config('kimbledb.made', coalesce(jsonb_agg(kind || ' ' || name), '[]')::text, true)
        FROM (
{parts}
        ) AS part (kind, name, owner, writer)
        WHERE owner = ANY (shaped) AND age(writer) <= age(pg_current_xact_id()::xid);
    END IF;
    counted := coalesce(signs, false) OR pg_stat_get_xact_tuples_deleted(large_objects) + pg_stat_get_xact_tuples_updated(large_objects)
        > coalesce((before->'counts'->large_objects::text->>0)::bigint + (before->'counts'->large_objects::text->>1)::bigint, 0);
    signs := counted OR {telling} OR current_setting('kimbledb.suspects') <> '[]'
        OR NOT ((before->>'counting')::boolean AND current_setting('track_counts')::boolean);
    IF written IS NOT NULL AND NOT signs THEN
        SELECT coalesce(bool_or(CASE WHEN light THEN c.oid IS NULL OR (c.relkind IN ('r', 'm') AND held = ANY (changed))
                                              ELSE (before->'relations' ? held::text AND held = ANY (changed)) OR before->'sequences' ? held::text END
                                         OR c.relkind = 'f' OR (coalesce(c.relkind::text, before->'relations'->held::text->>1) = 'S' AND held = ANY (shaped))), false)
        INTO signs
        FROM unnest(written) AS held LEFT JOIN pg_class AS c ON c.oid = held;
    END IF;
    IF signs AND light THEN
        RAISE EXCEPTION USING ERRCODE = 'KD006', MESSAGE = 'what is lost was not measured', DETAIL = '{"again": true}';
    ELSIF signs THEN
        PERFORM set_config('kimbledb.written', (written || large_objects)::text, true), set_config('kimbledb.counted', counted::text, true),
                set_config('kimbledb.changed', coalesce(changed, '{}')::text, true), set_config('kimbledb.shaped', coalesce(shaped, '{}')::text, true);
        -- Text, so that the server does not read it where it is not wanted.
        EXECUTE {losses};
    END IF;
END
