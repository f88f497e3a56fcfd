-- What can hold data in the target schema: columns of tables. Kept for the
-- transaction, to be compared after the scripts (vanished.sql).
BEGIN
    PERFORM set_config('kimbledb.inventory', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(c.relname, a.attname)), '[]')::text
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        WHERE n.nspname = {schema_literal} AND c.relkind IN ('r', 'p')), true);
END
