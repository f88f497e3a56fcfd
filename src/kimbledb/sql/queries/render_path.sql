-- Where the rendered file looks names up.
BEGIN
    PERFORM set_config('search_path', concat_ws(', ', 'public', (
        SELECT string_agg(DISTINCT quote_ident(n.nspname), ', ')
        FROM pg_extension AS e
        JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = ANY ({extensions}) AND n.nspname <> 'public'), 'pg_temp'), true);
END
