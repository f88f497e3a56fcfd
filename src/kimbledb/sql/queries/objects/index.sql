-- Indexes. The index of a constraint is facts of the constraint.
SELECT 'index', relation.prefix || {quoted:c.relname},
       jsonb_strip_nulls(jsonb_build_object(
           'on', relation.name,
           'unique', nullif(i.indisunique, false),
           'columns', CASE WHEN i.indexprs IS NULL THEN parts.keys END,
           'method', (SELECT {quoted:am.amname} FROM pg_catalog.pg_am AS am WHERE am.oid = c.relam AND am.amname <> 'btree')))
       || CASE WHEN i.indnullsnotdistinct OR i.indnatts > i.indnkeyatts OR c.reloptions IS NOT NULL OR NOT i.indisvalid
                 OR NOT i.indisready OR c.relispartition OR c.reltablespace <> 0 OR parts.statistics IS NOT NULL
       THEN jsonb_strip_nulls(jsonb_build_object(
           'nulls_not_distinct', nullif(i.indnullsnotdistinct, false),
           'include', parts.others,
           'options', (SELECT jsonb_agg(each ORDER BY each) FROM unnest(c.reloptions) AS each),
           'invalid', CASE WHEN NOT (i.indisvalid AND i.indisready) THEN true END,
           'partition_of', CASE WHEN c.relispartition THEN (
               SELECT {quoted:parent.relname} FROM pg_catalog.pg_inherits AS h JOIN pg_catalog.pg_class AS parent ON parent.oid = h.inhparent
               WHERE h.inhrelid = c.oid) END,
           'tablespace', (SELECT {quoted:s.spcname} FROM pg_catalog.pg_tablespace AS s WHERE s.oid = c.reltablespace),
           'statistics', parts.statistics))
       ELSE '{}' END,
       {form:index},
       c.tableoid, c.oid, 0, relation.relowner, NULL
FROM relation
JOIN pg_catalog.pg_index AS i ON i.indrelid = relation.oid
JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
CROSS JOIN LATERAL {printing:index}
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS con
                  WHERE con.conindid = c.oid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x'))
