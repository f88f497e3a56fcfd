-- What can hold data in the target schema, columns of tables, and what stands there by
-- itself. Kept for the transaction, to be compared after the scripts (vanished.sql).
DECLARE
    namespace constant oid := (SELECT oid FROM pg_namespace WHERE nspname = {schema_literal});
BEGIN
    PERFORM set_config('kimbledb.inventory', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(c.relname, a.attname)), '[]')::text
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
        WHERE c.relnamespace = namespace AND c.relkind IN ('r', 'p')), true);
    PERFORM set_config('kimbledb.objects', (
{objects}
    )::text, true);
END
