-- Comments on all that has a name, also on what is no object of its own in a snapshot.
SELECT 'comment', CASE described.name WHEN '' THEN described.kind ELSE described.kind || ' ' || described.name END,
       jsonb_build_object('text', d.description),
       NULL::jsonb, described.class, described.oid, described.sub, NULL::oid, NULL
FROM (
    SELECT kind, name, class, oid, sub FROM object
    UNION ALL
    SELECT 'index', held.prefix || {quoted:c.relname}, c.tableoid, c.oid, 0
    FROM held JOIN pg_catalog.pg_class AS c ON c.oid = held.conindid
    WHERE held.contype IN ('p', 'u', 'x')
    UNION ALL
    SELECT 'constraint', relation.name || '.' || {quoted:n.conname}, n.tableoid, n.oid, 0
    FROM relation JOIN pg_catalog.pg_constraint AS n ON n.conrelid = relation.oid AND n.contype = 'n'
    UNION ALL
    SELECT 'constraint', own_type.name || '.' || {quoted:con.conname}, con.tableoid, con.oid, 0
    FROM own_type JOIN pg_catalog.pg_constraint AS con ON con.contypid = own_type.oid
    UNION ALL
    SELECT 'column', own_type.name || '.' || {quoted:a.attname}, 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum
    FROM own_type JOIN pg_catalog.pg_attribute AS a ON a.attrelid = own_type.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT 'sequence', sequence.name, sequence.class, sequence.oid, 0 FROM sequence WHERE sequence.owned = 'i'
    UNION ALL
    SELECT 'schema', '', 'pg_catalog.pg_namespace'::regclass, home.oid, 0 FROM home WHERE home.prefix = ''
) AS described (kind, name, class, oid, sub)
JOIN pg_catalog.pg_description AS d ON d.objoid = described.oid AND d.classoid = described.class AND d.objsubid = described.sub
-- The one that initdb gives.
WHERE NOT (described.kind = 'schema' AND d.description = 'standard public schema')
