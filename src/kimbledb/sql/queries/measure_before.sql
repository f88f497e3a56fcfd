-- Before a script: the state with which measure_after.sql compares. Tables and materialised views of the target schema
-- and of the schemas that the migration reaches, by oid, with their storage and whether it is empty; sequences with
-- their positions; and the numbers of rows that this session has deleted and updated before, in any table: the server's
-- counters continue from one transaction to the next, and through a pooler from another client's.
DECLARE
    -- To ask for a size, or for a position, one opens the relation: not where somebody has it locked, whom the script may have
    -- nothing to do with.
    locked oid[] := '{}';
    schemas constant oid[] := {spaces};
    reads boolean;
    searched text;
    reading text;
    positions jsonb;
    sequences jsonb := '{}';
BEGIN
    IF NOT current_setting('track_counts')::boolean AND has_parameter_privilege('track_counts', 'SET') THEN
        PERFORM set_config('track_counts', 'on', true);
    END IF;
    -- Where each sequence is takes long to read. What moves one shows afterwards by its lock and goes with the
    -- transaction, but for setval(). Few schemas have sequences, which is seen first.
    reads := {sequences} OR EXISTS (
        SELECT FROM pg_sequence AS s WHERE (
            SELECT c.relnamespace = ANY (schemas) AND c.relname NOT IN ('migration_history_id_seq', 'migration_log_id_seq')
            FROM pg_class AS c WHERE c.oid = s.seqrelid));
    IF reads AND NOT {sequences} THEN
{searching}
    END IF;
    -- A second run of the script would find the sequences at the positions that the first one set.
    IF reads AND {brief} THEN
{closer};
    END IF;
    IF reads OR {sizes} THEN
        locked := ARRAY(SELECT relation FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND relation IS NOT NULL AND pid IS DISTINCT FROM pg_backend_pid());
    END IF;
    IF reads THEN
        -- The server's own function keeps a lock on each sequence; what is read in a part that is rolled back keeps none.
        SELECT string_agg(format('SELECT %s, %s, last_value, is_called FROM %I.%I', c.oid, s.seqstart, n.nspname, c.relname), ' UNION ALL ') INTO reading
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_sequence AS s ON s.seqrelid = c.oid
        WHERE c.relnamespace = ANY (schemas) AND c.relpersistence <> 't' AND c.oid <> ALL (locked)
          AND c.relname NOT IN ('migration_history_id_seq', 'migration_log_id_seq')
          AND CASE WHEN c.relkind = 'S' THEN has_sequence_privilege(c.oid, 'SELECT') END;
    END IF;
    IF reading IS NOT NULL THEN
        BEGIN
            EXECUTE format('SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(last, called)), ''{}'')'
                           ' FROM (%s) AS each (oid, start, last, called) WHERE called OR last <> start', reading) INTO positions;
            RAISE EXCEPTION USING MESSAGE = 'taken back', ERRCODE = 'KD000';
        EXCEPTION
            WHEN SQLSTATE 'KD000' THEN NULL;
        END;
    END IF;
    -- Those that gave a value. The others cannot be set back.
    IF positions <> '{}' THEN
        SELECT jsonb_object_agg(c.oid, jsonb_build_array(
            c.relname, s.seqstart, s.seqincrement, p.at->0, p.at->1, d.refobjid::bigint, d.refobjsubid, c.relnamespace::bigint))
        INTO sequences
        FROM jsonb_each(positions) AS p (key, at)
        JOIN pg_class AS c ON c.oid = p.key::oid
        JOIN pg_sequence AS s ON s.seqrelid = c.oid
        LEFT JOIN pg_depend AS d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                                AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i');
    END IF;
    PERFORM set_config('kimbledb.before', jsonb_build_object(
        'counting', current_setting('track_counts')::boolean,
        'newest', (SELECT max(oid)::bigint FROM pg_class),
        'relations', (
            SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(relname, relkind, relfilenode, relnatts, CASE WHEN relkind = 'S' THEN NULL WHEN NOT {sizes} OR oid = ANY (locked) THEN false ELSE pg_relation_size(oid) = 0 END, relnamespace::bigint)), '{}')
            FROM pg_class WHERE relnamespace = ANY (schemas) AND relkind IN ('r', 'm', 'S') AND relpersistence <> 't'),
        'reads', reads,
        'sequences', sequences,
        'counts', (
            SELECT coalesce(jsonb_object_agg(oid, jsonb_build_array(deleted, updated, inserted)), '{}')
            FROM (
                SELECT oid, pg_stat_get_xact_tuples_deleted(oid), pg_stat_get_xact_tuples_updated(oid), pg_stat_get_xact_tuples_inserted(oid)
                FROM pg_class WHERE relkind IN ('r', 'm') AND (oid >= 16384 OR oid = 'pg_largeobject_metadata'::regclass)
            ) AS counter (oid, deleted, updated, inserted)
            WHERE deleted + updated + inserted > 0)
        )::text, true);
END
