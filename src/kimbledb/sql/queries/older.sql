-- Which relations and routines were there at this moment. The cursor is read after a script, for those that may be new;
-- it sees the catalogs as they are now. It needs no search_path.
DECLARE kimbledb_older NO SCROLL CURSOR FOR
SELECT c.tableoid, c.oid
FROM pg_catalog.pg_class AS c
WHERE c.oid OPERATOR(pg_catalog.=) ANY (nullif(pg_catalog.current_setting('kimbledb.young', true), '')::pg_catalog.oid[])
UNION ALL
SELECT p.tableoid, p.oid
FROM pg_catalog.pg_proc AS p
WHERE p.oid OPERATOR(pg_catalog.=) ANY (nullif(pg_catalog.current_setting('kimbledb.young', true), '')::pg_catalog.oid[]);
