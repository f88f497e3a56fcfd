-- The search_path of the rendered file.
BEGIN
    PERFORM set_config('search_path', concat_ws(', ', 'public', (
        SELECT string_agg(DISTINCT quote_ident(n.nspname), ', ')
        FROM pg_extension AS e
        JOIN pg_namespace AS n ON n.oid = e.extnamespace
        WHERE e.extname = ANY ({extensions}) AND n.nspname <> 'public'), 'pg_temp'), true);
END
