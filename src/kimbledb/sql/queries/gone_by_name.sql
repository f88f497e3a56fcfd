-- The dropped objects as in gone.sql, with their names, and for an index or a sequence of a table with the table's
-- name.
SELECT d.classid, d.objid, d.refobjid AS namespace,
       CASE d.classid
           WHEN 'pg_catalog.pg_class'::pg_catalog.regclass THEN (SELECT relname FROM pg_catalog.pg_class WHERE oid = d.objid)
           WHEN 'pg_catalog.pg_proc'::pg_catalog.regclass THEN (SELECT proname FROM pg_catalog.pg_proc WHERE oid = d.objid)
           ELSE (SELECT typname FROM pg_catalog.pg_type WHERE oid = d.objid)
       END AS name,
       -- An index, or the sequence of a column, belongs to its table.
       (SELECT c.relname
        FROM pg_catalog.pg_class AS c
        WHERE c.oid = coalesce((SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = d.objid),
                               (SELECT o.refobjid FROM pg_catalog.pg_depend AS o
                                WHERE o.classid = d.classid AND o.objid = d.objid AND o.deptype IN ('a', 'i') AND o.refobjsubid > 0
                                  AND o.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass))) AS home
FROM pg_catalog.pg_depend AS d
WHERE d.refclassid = 'pg_catalog.pg_namespace'::pg_catalog.regclass
  AND d.objid = ANY (nullif(pg_catalog.current_setting('kimbledb.gone', true), '')::pg_catalog.oid[])
