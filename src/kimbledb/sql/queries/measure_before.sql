-- Before a script: what measure_after.sql will compare with. Tables and materialised views of
-- the target schema and those that it reaches, by oid, with their storage and whether it is empty;
-- sequences with their positions; and how many rows this session has deleted and updated before, wherever that was:
-- the server's counters go on from one transaction to the next, through a pooler from a neighbour's.
DECLARE
    -- To ask for a size one opens the table: not where somebody has it locked, whom the script may have nothing to do with.
    locked constant oid[] := ARRAY(SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL AND pid IS DISTINCT FROM pg_backend_pid());
    schemas constant oid[] := ARRAY(SELECT oid FROM pg_namespace WHERE nspname = ANY ({schemas}));
BEGIN
    IF NOT current_setting('track_counts')::boolean AND has_parameter_privilege('track_counts', 'SET') THEN
        PERFORM set_config('track_counts', 'on', true);
    END IF;
    PERFORM set_config('kimbledb.before', jsonb_build_object(
        'counting', current_setting('track_counts')::boolean,
        'newest', (SELECT max(oid)::bigint FROM pg_class),
        'relations', (
            SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(relname, relkind, relfilenode, relnatts, CASE WHEN oid = ANY (locked) THEN false ELSE pg_relation_size(oid) = 0 END, relnamespace::bigint)), '{}')
            FROM pg_class WHERE relnamespace = ANY (schemas) AND relkind IN ('r', 'm') AND relpersistence <> 't'),
        -- Those that gave a value; the others cannot be set back.
        'sequences', (
            SELECT coalesce(jsonb_object_agg(k.oid, jsonb_build_array(k.name, s.seqstart, s.seqincrement, k.last, d.refobjid::bigint, d.refobjsubid, k.namespace)), '{}')
            FROM (
                SELECT oid, relname, relnamespace::bigint, CASE WHEN has_sequence_privilege(oid, 'SELECT') THEN pg_sequence_last_value(oid) END
                FROM pg_class WHERE relnamespace = ANY (schemas) AND relkind = 'S' AND relpersistence <> 't'
            ) AS k (oid, name, namespace, last)
            JOIN pg_sequence AS s ON s.seqrelid = k.oid
            LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = k.oid
                                    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            WHERE k.last IS NOT NULL),
        'counts', (
            SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(deleted, updated, inserted)), '{}')
            FROM (
                SELECT oid, pg_stat_get_xact_tuples_deleted(oid), pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_inserted(oid)
                FROM pg_class WHERE relkind IN ('r', 'm') AND (oid >= 16384 OR oid = 'pg_largeobject_metadata'::regclass)
            ) AS counter (oid, deleted, updated, inserted)
            WHERE deleted + updated + inserted > 0)
        )::text, true);
END
