-- The relations that a scoped snapshot looks at: tables and views by their names or by those of their indexes or
-- statistics, sequences by their names or by that of the table that owns them.
SELECT c.oid
FROM home JOIN pg_catalog.pg_class AS c ON c.relnamespace = home.oid AND c.relname = ANY (home.wanted)
UNION
SELECT i.indrelid
FROM home JOIN pg_catalog.pg_class AS c ON c.relnamespace = home.oid AND c.relname = ANY (home.wanted)
JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
UNION
SELECT s.stxrelid
FROM home JOIN pg_catalog.pg_statistic_ext AS s ON s.stxnamespace = home.oid AND s.stxname = ANY (home.wanted)
UNION
SELECT d.objid
FROM home JOIN pg_catalog.pg_class AS c ON c.relnamespace = home.oid AND c.relname = ANY (home.wanted)
JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid > 0
     AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
