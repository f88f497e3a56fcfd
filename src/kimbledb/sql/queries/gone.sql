-- The dropped objects, with their schemas.
SELECT d.classid, d.objid, d.refobjid AS namespace, NULL AS name, NULL AS home
FROM pg_catalog.pg_depend AS d
WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
  AND d.objid = ANY (nullif(pg_catalog.current_setting('kimbledb.gone', true), '')::pg_catalog.oid[])
