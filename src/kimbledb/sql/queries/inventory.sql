-- The independent objects of the target schema, and those attached to its columns. Kept for the transaction, and
-- compared after the scripts (vanished.sql).
BEGIN
    PERFORM set_config('kimbledb.objects', (
{objects}
    )::text, true);
    PERFORM set_config('kimbledb.parts', (
        SELECT coalesce(jsonb_agg(jsonb_build_array(kind, name, owner::bigint)), '[]') FROM (
{parts}
        ) AS part (kind, name, owner, writer)
    )::text, true);
END
