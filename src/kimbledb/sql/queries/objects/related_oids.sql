-- The same as related.sql by oid, in a block.
ARRAY(WITH home (oid, wanted) AS (
    SELECT n.oid, place.wanted
    FROM pg_catalog.pg_namespace AS n
    JOIN (VALUES {homes}) AS place (name, prefix, wanted, own) ON place.name = n.nspname
)
SELECT every.oid FROM (
{related}
) AS every)
