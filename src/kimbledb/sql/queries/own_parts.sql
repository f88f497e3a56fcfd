-- The objects that are attached to a table's columns and dropped with them silently: constraints, statistics, and
-- indexes that belong to no constraint. Kind, name, table and the transaction that wrote it; not those that a table
-- inherits from its parent.
SELECT 'constraint', c.relname || '.' || k.conname, k.conrelid, k.xmin
FROM pg_constraint AS k JOIN pg_class AS c ON c.oid = k.conrelid
WHERE c.relnamespace = {namespace} AND k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0 AND k.conislocal
UNION ALL
SELECT 'index', i.relname, x.indrelid, i.xmin
FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE i.relnamespace = {namespace} AND NOT i.relispartition
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x'))
UNION ALL
-- Statistics may be in another schema than their table.
SELECT 'statistics', CASE WHEN s.stxnamespace <> {namespace} THEN s.stxnamespace::regnamespace || '.' ELSE '' END || s.stxname, s.stxrelid, s.xmin
FROM pg_statistic_ext AS s JOIN pg_class AS c ON c.oid = s.stxrelid
WHERE {namespace} IN (s.stxnamespace, c.relnamespace)
