-- Directly before a script: the cursor by which check_reach.sql finds dropped objects. It is read only if the script
-- drops something, and it sees the catalogs as they are now. A block opens it, since a cursor that the message itself
-- opened would keep a copy of the whole message, which pg_cursors returns with each query.
DECLARE
    before pg_catalog.refcursor := 'kimbledb_before';
BEGIN
    OPEN before NO SCROLL FOR
    SELECT was.classid, was.objid, was.namespace, was.name, was.home, NULL::"char" AS tie
    FROM (
{gone}
    ) AS was
    UNION ALL
    -- The dependents of relations of other schemas that the script locked, with the kind of dependence.
    SELECT d.classid, d.objid, d.refobjid, NULL, NULL, d.deptype
    FROM pg_catalog.pg_depend AS d
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
      AND d.refobjid = ANY (nullif(pg_catalog.current_setting('kimbledb.held', true), '')::pg_catalog.oid[]);
END
