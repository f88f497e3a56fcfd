-- After a ROLLBACK, which releases neither prepared statements nor locks of the session.
DECLARE
    before constant jsonb := {before};
    one record;
BEGIN
    PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
    FOR one IN SELECT name FROM pg_prepared_statements WHERE from_sql AND NOT before->'prepared' ? name LOOP
        EXECUTE format('DEALLOCATE %I', one.name);
    END LOOP;
    IF NOT before->'prepared' <@ (SELECT coalesce(jsonb_agg(name), '[]') FROM pg_prepared_statements) THEN
        RAISE INFO USING MESSAGE = 'true', ERRCODE = 'KD107';
    END IF;
{unlock}
END
