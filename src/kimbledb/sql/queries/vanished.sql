-- The objects of inventory.sql that the scripts dropped, as [kind, name], those attached to columns of remaining tables
-- among them.
SELECT jsonb_build_object(
    'objects', (
        SELECT coalesce(jsonb_agg(was.kind_and_name ORDER BY was.kind_and_name), '[]')
        FROM (
            SELECT jsonb_build_array(each->0, each->1), each->2
            FROM jsonb_array_elements(current_setting('kimbledb.objects')::jsonb) AS each
        ) AS was (kind_and_name, oid)
        -- A renamed object still exists, and so does one that was made again under its name.
        WHERE NOT EXISTS (
            SELECT FROM jsonb_array_elements((
{objects}
            )) AS now
            WHERE now->0 = was.kind_and_name->0 AND (now->1 = was.kind_and_name->1 OR now->2 = was.oid))),
    'parts', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(was->>0, was->>1) ORDER BY was), '[]')
        FROM jsonb_array_elements(current_setting('kimbledb.parts')::jsonb) AS was
        JOIN pg_class AS c ON c.oid = (was->>2)::oid
        WHERE NOT EXISTS (SELECT FROM (
{parts}
        ) AS part (kind, name, owner, writer) WHERE part.kind = was->>0 AND part.owner = c.oid AND part.name = was->>1)))
