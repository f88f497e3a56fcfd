-- The start of the rendered file: what the server must be, and the extensions.
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
END
