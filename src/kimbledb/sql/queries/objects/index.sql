-- Indexes. The index of a constraint is facts of the constraint. The columns are in the definition, behind its names: the
-- server alone knows which operator class and which collation it would choose by itself.
SELECT 'index', c.name,
       json_strip_nulls(json_build_object(
           'on', relation.name,
           'unique', nullif(i.indisunique, false),
           'nulls_not_distinct', nullif(i.indnullsnotdistinct, false),
           'method', CASE WHEN c.relam <> 403 THEN (SELECT am.amname FROM pg_catalog.pg_am AS am WHERE am.oid = c.relam) END,
           'definition', CASE WHEN i.indexprs IS NULL THEN printed.definition END,
           'options', c.reloptions,
           'statistics', CASE WHEN i.indexprs IS NOT NULL THEN (
               SELECT json_agg(a.attnum || ' ' || a.attstattarget ORDER BY a.attnum) FROM pg_catalog.pg_attribute AS a
               WHERE a.attrelid = c.oid AND a.attstattarget <> -1) END,
           -- there: inheritance
           'partition_of', CASE WHEN c.relispartition THEN (
               SELECT {relation:h.inhparent} FROM pg_catalog.pg_inherits AS h WHERE h.inhrelid = c.oid) END,
           -- end
           -- there: tablespace
           'tablespace', (SELECT s.spcname FROM pg_catalog.pg_tablespace AS s WHERE s.oid = c.reltablespace),
           -- end
           'invalid', CASE WHEN NOT (i.indisvalid AND i.indisready) THEN true END)),
       {form:index},
       c.class, c.oid, 0, relation.relowner, NULL
FROM relation
JOIN pg_catalog.pg_index AS i ON i.indrelid = relation.oid
JOIN class AS c ON c.oid = i.indexrelid
CROSS JOIN LATERAL {printing:index}
WHERE NOT EXISTS (SELECT FROM bound AS con WHERE con.conindid = c.oid AND con.contype IN ('p', 'u', 'x'))
