-- The relations that a scoped snapshot looks at: tables and views by their names or by those of their indexes or
-- statistics, with their indexes; sequences by their names or by that of the table that owns them.
WITH named (oid) AS (
    SELECT c.oid
    FROM home JOIN pg_catalog.pg_class AS c ON c.relnamespace = home.oid AND c.relname = ANY (home.wanted)
),
parent (oid) AS (
    SELECT oid FROM named
    UNION
    SELECT i.indrelid FROM named JOIN pg_catalog.pg_index AS i ON i.indexrelid = named.oid
    UNION
    SELECT s.stxrelid
    FROM home JOIN pg_catalog.pg_statistic_ext AS s ON s.stxnamespace = home.oid AND s.stxname = ANY (home.wanted)
)
SELECT oid FROM parent
UNION
SELECT i.indexrelid FROM parent JOIN pg_catalog.pg_index AS i ON i.indrelid = parent.oid
UNION
SELECT d.objid
FROM parent
JOIN pg_catalog.pg_depend AS d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = parent.oid AND d.refobjsubid > 0
     AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
