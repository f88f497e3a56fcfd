-- The start of the rendered file: checks the server and the rows of history under other names, and creates the
-- extensions.
DECLARE
    extension text;
    migrations constant jsonb := {migrations};
    renamed record;
    home constant text := CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = 'extensions') THEN 'extensions' ELSE 'public' END;
BEGIN
    IF current_setting('server_version_num')::integer < {oldest} THEN
        RAISE EXCEPTION 'the server is PostgreSQL %, and {oldest_major} is the oldest that will do', current_setting('server_version');
    END IF;
    SELECT h.migration_name AS older, k.name AS newer INTO renamed
    FROM public.migration_history AS h
    JOIN jsonb_to_recordset(migrations) AS k (name text, checksums text[]) ON h.checksum = ANY (k.checksums)
    WHERE h.success
      AND NOT EXISTS (SELECT FROM jsonb_to_recordset(migrations) AS other (name text) WHERE other.name = h.migration_name)
      AND NOT EXISTS (SELECT FROM public.migration_history AS own WHERE own.migration_name = k.name AND own.success)
    ORDER BY h.migration_name
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% is % in history: was it renamed? Nothing of this file was run', renamed.newer, renamed.older
            USING HINT = format('UPDATE public.migration_history SET migration_name = %L WHERE migration_name = %L', renamed.newer, renamed.older);
    END IF;
    FOREACH extension IN ARRAY {extensions} LOOP
        EXECUTE format('CREATE EXTENSION IF NOT EXISTS %I SCHEMA %I', extension, home);
    END LOOP;
END
