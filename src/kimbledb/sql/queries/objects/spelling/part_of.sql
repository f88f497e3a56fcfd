-- The object that {x} is a part of, by its class and its oid: a table or a view, or a type.
SELECT CASE con.conrelid WHEN 0 THEN 'pg_catalog.pg_type'::regclass ELSE 'pg_catalog.pg_class'::regclass END,
       coalesce(nullif(con.conrelid, 0), con.contypid)
FROM pg_catalog.pg_constraint AS con WHERE {x}.class = 'pg_catalog.pg_constraint'::regclass AND con.oid = {x}.oid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, t.tgrelid
FROM pg_catalog.pg_trigger AS t WHERE {x}.class = 'pg_catalog.pg_trigger'::regclass AND t.oid = {x}.oid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, p.polrelid
FROM pg_catalog.pg_policy AS p WHERE {x}.class = 'pg_catalog.pg_policy'::regclass AND p.oid = {x}.oid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, r.ev_class
FROM pg_catalog.pg_rewrite AS r WHERE {x}.class = 'pg_catalog.pg_rewrite'::regclass AND r.oid = {x}.oid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, s.stxrelid
FROM pg_catalog.pg_statistic_ext AS s WHERE {x}.class = 'pg_catalog.pg_statistic_ext'::regclass AND s.oid = {x}.oid
UNION ALL
SELECT 'pg_catalog.pg_class'::regclass, i.indrelid
FROM pg_catalog.pg_index AS i WHERE {x}.class = 'pg_catalog.pg_class'::regclass AND i.indexrelid = {x}.oid
UNION ALL
SELECT 'pg_catalog.pg_type'::regclass, c.reltype
FROM pg_catalog.pg_class AS c WHERE {x}.class = 'pg_catalog.pg_class'::regclass AND c.oid = {x}.oid AND c.relkind = 'c'
UNION ALL
SELECT d.refclassid, d.refobjid
FROM pg_catalog.pg_depend AS d
JOIN pg_catalog.pg_class AS c ON c.oid = d.objid AND c.relkind = 'S'
WHERE {x}.class = 'pg_catalog.pg_class'::regclass AND d.classid = {x}.class AND d.objid = {x}.oid AND d.objsubid = 0
  AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
