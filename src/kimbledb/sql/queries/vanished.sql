-- What the scripts took away. Of data: whole tables as [table, null], columns of tables that stay as
-- [table, column]. Of objects: [kind, name] of each that is no more there.
SELECT jsonb_build_object(
    'data', (
        SELECT coalesce(jsonb_agg(DISTINCT jsonb_build_array(was.tab, CASE WHEN c.oid IS NOT NULL THEN was.col END)), '[]')
        FROM (
            SELECT one->>0, one->>1 FROM jsonb_array_elements(current_setting('kimbledb.inventory')::jsonb) AS one
        ) AS was (tab, col)
        LEFT JOIN pg_namespace AS n ON n.nspname = {schema_literal}
        LEFT JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = was.tab AND c.relkind IN ('r', 'p')
        WHERE NOT EXISTS (
            SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = was.col AND NOT a.attisdropped)),
    'objects', (
        SELECT coalesce(jsonb_agg(was ORDER BY was), '[]')
        FROM jsonb_array_elements(current_setting('kimbledb.objects')::jsonb) AS was
        WHERE was NOT IN (SELECT jsonb_array_elements((
{objects}
        )))))
