-- Comments on everything that has a name, also if it is no object of its own in a snapshot.
SELECT 'comment', CASE described.name WHEN '' THEN described.kind ELSE described.kind || ' ' || described.name END,
       json_build_object('text', d.description),
       NULL::jsonb, described.class, described.oid, described.sub, NULL::oid, NULL
FROM (
    SELECT kind, name, class, oid, sub FROM object
    -- when: constraint
    UNION ALL
    SELECT 'index', class.name, class.class, class.oid, 0
    FROM bound AS con JOIN class ON class.oid = con.conindid
    WHERE con.contype IN ('p', 'u', 'x')
    UNION ALL
    SELECT 'constraint', con.relation_name || '.' || {quoted:con.conname}, con.class, con.oid, 0
    FROM bound AS con WHERE con.contype = 'n'
    -- end
    -- when: type
    UNION ALL
    SELECT 'constraint', own_type.name || '.' || {quoted:con.conname}, con.tableoid, con.oid, 0
    FROM own_type JOIN pg_catalog.pg_constraint AS con ON con.contypid = own_type.oid
    UNION ALL
    SELECT 'column', own_type.name || '.' || {quoted:a.attname}, 'pg_catalog.pg_class'::regclass, a.attrelid, a.attnum
    FROM own_type JOIN pg_catalog.pg_attribute AS a ON a.attrelid = own_type.typrelid AND a.attnum > 0 AND NOT a.attisdropped
    -- end
    -- when: sequence
    UNION ALL
    SELECT 'sequence', sequence.name, sequence.class, sequence.oid, 0 FROM sequence WHERE sequence.owned = 'i'
    -- end
    -- when: the schema
    UNION ALL
    SELECT 'schema', '', 'pg_catalog.pg_namespace'::regclass, home.oid, 0 FROM home WHERE home.prefix = ''
    -- end
) AS described (kind, name, class, oid, sub)
JOIN pg_catalog.pg_description AS d ON d.objoid = described.oid AND d.classoid = described.class AND d.objsubid = described.sub
-- Objects of the server itself have lower numbers, but for the schema "public", which initdb gives a comment.
WHERE (d.objoid >= 16384 OR d.classoid = 'pg_catalog.pg_namespace'::regclass)
  AND NOT (described.kind = 'schema' AND d.description = 'standard public schema')
