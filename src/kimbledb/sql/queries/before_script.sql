-- Right before a script: what check_reach.sql will want to know of this moment. The cursor
-- is not read unless the script drops something; it sees the catalogs as they are now.
SELECT pg_catalog.set_config('kimbledb.transaction', pg_catalog.pg_current_xact_id()::text, true),
       pg_catalog.set_config('kimbledb.newest_type', (SELECT pg_catalog.max(oid) FROM pg_catalog.pg_type)::text, true),
       -- The counts go on from one transaction to the next. 1247 is pg_type.
       pg_catalog.set_config('kimbledb.types_made', pg_catalog.pg_stat_get_xact_tuples_inserted(1247)::text, true),
       pg_catalog.set_config('kimbledb.types_altered', pg_catalog.pg_stat_get_xact_tuples_updated(1247)::text, true);
DECLARE kimbledb_before NO SCROLL CURSOR FOR
SELECT d.classid, d.objid, d.refobjid AS namespace
FROM pg_catalog.pg_depend AS d
WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
  AND d.objid = ANY (nullif(pg_catalog.current_setting('kimbledb.gone', true), '')::pg_catalog.oid[]);
