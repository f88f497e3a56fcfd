-- The start of the rendered file: what the server must be, and where names are looked up.
DECLARE
    extension text;
    home constant text := CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'extensions') THEN 'extensions' ELSE 'public' END;
BEGIN
    IF current_setting('server_version_num')::integer < {oldest} THEN
        RAISE EXCEPTION 'the server is PostgreSQL %, and {oldest_major} is the oldest that will do', current_setting('server_version');
    END IF;
    FOREACH extension IN ARRAY {extensions} LOOP
        EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', extension, home);
    END LOOP;
    PERFORM set_config('search_path', concat_ws(', ', 'public', (
        SELECT string_agg(DISTINCT quote_ident(n.nspname), ', ')
        FROM pg_extension AS e
        JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = ANY ({extensions}) AND n.nspname <> 'public'), 'pg_temp'), true);
END
