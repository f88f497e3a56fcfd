-- The relations and routines that exist at this moment. The cursor is read after a script, for those that may be new;
-- it sees the catalogs as they are now. It needs no search_path. A block opens it, as in keep_gone.sql. If a script
-- runs statement by statement, the objects of its earlier statements are kept.
DECLARE
    older pg_catalog.refcursor := 'kimbledb_older';
BEGIN
    PERFORM pg_catalog.set_config('kimbledb.closed_relations', {relations}, true),
            pg_catalog.set_config('kimbledb.closed_routines', {routines}, true);
    OPEN older NO SCROLL FOR
    SELECT c.tableoid, c.oid
    FROM pg_catalog.pg_class AS c
    WHERE c.oid OPERATOR(pg_catalog.=) ANY (nullif(pg_catalog.current_setting('kimbledb.young', true), '')::pg_catalog.oid[])
    UNION ALL
    SELECT p.tableoid, p.oid
    FROM pg_catalog.pg_proc AS p
    WHERE p.oid OPERATOR(pg_catalog.=) ANY (nullif(pg_catalog.current_setting('kimbledb.young', true), '')::pg_catalog.oid[]);
END
