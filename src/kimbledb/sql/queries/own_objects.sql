-- The independent objects of the target schema: [kind, name, oid] of tables, views, sequences, functions and types.
SELECT coalesce(jsonb_agg(jsonb_build_array(o.kind, o.name, o.oid::bigint) ORDER BY o.kind, o.name), '[]')
FROM (
    SELECT CASE WHEN c.relkind IN ('v', 'm') THEN 'view' WHEN c.relkind = 'S' THEN 'sequence' ELSE 'table' END,
           c.relname::text, 'pg_class'::regclass, c.oid
    FROM pg_class AS c
    WHERE c.relnamespace = {namespace} AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
    UNION ALL
    SELECT 'function', p.proname || '(' || coalesce((
               -- Types of the schema without its name, though it is not on the path.
               SELECT string_agg(CASE WHEN t.typnamespace = p.pronamespace THEN regexp_replace(format_type(t.oid, NULL), '^("([^"]|"")*"|[^."]*)\.', '')
                                      ELSE format_type(t.oid, NULL) END, ',' ORDER BY a.place)
               FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (type, place)
               JOIN pg_type AS t ON t.oid = a.type), '') || ')', 'pg_proc'::regclass, p.oid
    FROM pg_proc AS p WHERE p.pronamespace = {namespace}
    UNION ALL
    SELECT 'type', t.typname::text, 'pg_type'::regclass, t.oid
    FROM pg_type AS t LEFT JOIN pg_class AS c ON c.oid = t.typrelid
    WHERE t.typnamespace = {namespace} AND (t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c'))
) AS o (kind, name, class, oid)
-- Without the objects of extensions and the sequences of columns.
WHERE NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype IN ('e', 'i', 'a') AND d.refclassid <> 'pg_namespace'::regclass
                  AND (o.kind = 'sequence' OR d.deptype = 'e'))
