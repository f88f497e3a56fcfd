-- Functions that are called in place of pg_catalog's because their arguments fit better: length(varchar) fits a varchar
-- better than length(text) does. With the same arguments pg_catalog's is found first, and an extension's are for its
-- own types.
SELECT coalesce(jsonb_agg(p.oid::regprocedure::text ORDER BY p.oid::regprocedure::text), '[]')
FROM pg_catalog.pg_proc AS p
WHERE p.pronamespace IN (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = ANY ({schemas}))
  -- One look-up by the index of names for each: NULL where pg_catalog has none of that name.
  AND (SELECT bool_and(c.proargtypes <> p.proargtypes) FROM pg_catalog.pg_proc AS c
       WHERE c.proname = p.proname AND c.pronamespace = 'pg_catalog'::regnamespace)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                  WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
