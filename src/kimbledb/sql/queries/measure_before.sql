-- Before a script: what measure_after.sql will compare with. Tables and materialised views of
-- the target schema by oid, with their storage and whether it is empty; sequences with their
-- positions; and how many rows this session has deleted and updated before, wherever that was:
-- the server's counters go on from one transaction to the next, through a pooler from a neighbour's.
DECLARE
    target constant oid := (SELECT oid FROM pg_namespace WHERE nspname = {schema_literal});
BEGIN
    IF NOT current_setting('track_counts')::boolean AND has_parameter_privilege('track_counts', 'SET') THEN
        PERFORM set_config('track_counts', 'on', true);
    END IF;
    PERFORM set_config('kimbledb.before', jsonb_build_object(
        'counting', current_setting('track_counts')::boolean,
        'newest', (SELECT max(oid)::bigint FROM pg_class),
        'relations', (
            SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(relname, relkind, relfilenode, relnatts, pg_relation_size(oid) = 0)), '{}')
            FROM pg_class WHERE relnamespace = target AND relkind IN ('r', 'm') AND relpersistence <> 't'),
        'sequences', (
            SELECT coalesce(jsonb_object_agg(c.oid, jsonb_build_array(
                       c.relname, s.seqstart, s.seqincrement,
                       CASE WHEN has_sequence_privilege(c.oid, 'SELECT') THEN pg_sequence_last_value(c.oid) END,
                       d.refobjid::bigint, d.refobjsubid)), '{}')
            FROM pg_class AS c
            JOIN pg_sequence AS s ON s.seqrelid = c.oid
            LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                    AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
            WHERE c.relnamespace = target AND c.relpersistence <> 't'),
        'counts', (
            SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(deleted, updated, inserted)), '{}')
            FROM (
                SELECT oid, pg_stat_get_xact_tuples_deleted(oid), pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_inserted(oid)
                FROM pg_class WHERE relkind IN ('r', 'm') AND (oid >= 16384 OR oid = 'pg_largeobject_metadata'::regclass)
            ) AS counter (oid, deleted, updated, inserted)
            WHERE deleted + updated + inserted > 0)
        )::text, true);
END
