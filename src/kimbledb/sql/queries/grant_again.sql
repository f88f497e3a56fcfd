-- After a rollback: the privileges that roles had before its migration.
DECLARE
    statement text;
BEGIN
    PERFORM set_config('search_path', {path}, true);
    FOREACH statement IN ARRAY {statements} LOOP
        BEGIN
            EXECUTE statement;
        EXCEPTION
            -- It was dropped since.
            WHEN undefined_table OR undefined_function OR undefined_column OR undefined_object THEN NULL;
        END;
    END LOOP;
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
END
