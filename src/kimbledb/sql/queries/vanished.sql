-- What of that (inventory.sql) the scripts took away, as [kind, name]: of the objects; and of what hung on
-- columns of tables that stay.
SELECT jsonb_build_object(
    'objects', (
        SELECT coalesce(jsonb_agg(was ORDER BY was), '[]')
        FROM jsonb_array_elements(current_setting('kimbledb.objects')::jsonb) AS was
        WHERE was NOT IN (SELECT jsonb_array_elements((
{objects}
        )))),
    'parts', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(was->>0, was->>1) ORDER BY was), '[]')
        FROM jsonb_array_elements(current_setting('kimbledb.parts')::jsonb) AS was
        JOIN pg_class AS c ON c.oid = (was->>2)::oid
        WHERE NOT EXISTS (SELECT FROM (
{parts}
        ) AS part (kind, name, owner, writer) WHERE part.kind = was->>0 AND part.owner = c.oid AND part.name = was->>1)))
