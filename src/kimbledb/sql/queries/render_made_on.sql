-- The constraints, indexes and statistics that this transaction made on tables whose oid is not above $1.
SELECT coalesce(jsonb_agg(kind || ' ' || name), '[]')
FROM (
{parts}
) AS part (kind, name, owner, writer)
WHERE owner <= $1 AND age(writer) <= age(pg_current_xact_id()::xid)
