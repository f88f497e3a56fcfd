-- Writes the statistics of the target into the tables of a clone. A server before version 18 accepts none.
DECLARE
    given record;
    of_column record;
BEGIN
    IF pg_catalog.current_setting('server_version_num')::integer < 180000 THEN
        RETURN;
    END IF;
    FOR given IN
        SELECT each ->> 0 AS schema, each ->> 1 AS name, (each ->> 2)::integer AS pages, (each ->> 3)::real AS tuples, each -> 4 AS columns
        FROM pg_catalog.jsonb_array_elements({statistics}::jsonb) AS each
        WHERE pg_catalog.to_regclass(pg_catalog.format('%I.%I', each ->> 0, each ->> 1)) IS NOT NULL
    LOOP
        PERFORM pg_catalog.pg_restore_relation_stats(
            'schemaname', given.schema, 'relname', given.name, 'relpages', given.pages, 'reltuples', given.tuples);
        FOR of_column IN
            SELECT each ->> 0 AS name, (each ->> 1)::boolean AS inherited, (each ->> 2)::real AS nulls,
                   (each ->> 3)::integer AS width, (each ->> 4)::real AS different
            FROM pg_catalog.jsonb_array_elements(given.columns) AS each
        LOOP
            PERFORM pg_catalog.pg_restore_attribute_stats(
                'schemaname', given.schema, 'relname', given.name, 'attname', of_column.name, 'inherited', of_column.inherited,
                'null_frac', of_column.nulls, 'avg_width', of_column.width, 'n_distinct', of_column.different);
        END LOOP;
    END LOOP;
END
