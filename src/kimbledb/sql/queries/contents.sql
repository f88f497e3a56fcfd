-- The contents of a schema: for each table its number of rows, a hash of its rows, and a hash of the values of each
-- column, independent of the order of rows and columns; and the position of each sequence. History is left out, and so
-- are materialised views, whose rows come from other tables. With named tables it covers only these, their children and
-- their sequences, and reports whether the transaction locked more: a table that it has not locked, it has neither read
-- nor changed.
DECLARE
    one record;
    part jsonb;
    tables jsonb := '{}';
    sequences jsonb := '{}';
    position bigint;
    names constant name[] := {names};
    near oid[];
    further boolean := false;
BEGIN
    IF names IS NOT NULL THEN
        WITH RECURSIVE held (oid) AS (
            SELECT c.oid FROM pg_class AS c WHERE c.relname = ANY (names)
            UNION
            SELECT i.inhrelid FROM held JOIN pg_inherits AS i ON i.inhparent = held.oid
        )
        SELECT array_agg(every.oid) INTO near
        FROM (
            SELECT held.oid FROM held
            UNION ALL
            SELECT d.objid
            FROM held
            JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = held.oid AND d.refobjsubid > 0
                 AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')
        ) AS every;
        further := EXISTS (
            SELECT
            FROM pg_locks AS l
            JOIN pg_class AS c ON c.oid = l.relation
            WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND c.oid >= 16384 AND c.relkind IN ('r', 'p', 'f', 'm', 'S')
              AND c.oid <> ALL (coalesce(near, '{}'))
              AND c.relname NOT IN ('migration_history', 'migration_log', 'migration_history_id_seq', 'migration_log_id_seq'));
    END IF;
    FOR one IN
        SELECT c.relname AS name, format('%I.%I', {schema_literal}, c.relname) AS source, c.relkind AS kind
        FROM pg_class AS c
        WHERE c.relnamespace = {schema_literal}::regnamespace AND c.relkind IN ('r', 'S')
          AND c.relname NOT IN ('migration_history', 'migration_log', 'migration_history_id_seq', 'migration_log_id_seq')
          AND (names IS NULL OR c.oid = ANY (near))
    LOOP
        IF one.kind = 'S' THEN
            EXECUTE format('SELECT CASE WHEN is_called THEN last_value END FROM %s', one.source) INTO position;
            sequences := sequences || jsonb_build_object(one.name, position);
        ELSE
            EXECUTE format($q$
                SELECT jsonb_build_object(
                    'rows', (SELECT count(*) FROM %1$s),
                    'whole', (SELECT md5(string_agg(to_jsonb(held)::text, ' ' ORDER BY to_jsonb(held)::text)) FROM %1$s AS held),
                    'columns', (
                        SELECT jsonb_object_agg(name, hash)
                        FROM (SELECT field.key, md5(string_agg(coalesce(field.value, ' null '), ' ' ORDER BY field.value))
                              FROM %1$s AS held, jsonb_each_text(to_jsonb(held)) AS field
                              GROUP BY field.key) AS summed (name, hash)))
            $q$, one.source) INTO part;
            tables := tables || jsonb_build_object(one.name, part);
        END IF;
    END LOOP;
    RAISE INFO USING MESSAGE = jsonb_build_object('tables', tables, 'sequences', sequences, 'further', further)::text, ERRCODE = 'KD100';
END
