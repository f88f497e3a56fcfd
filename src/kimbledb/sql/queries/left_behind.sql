-- The leftovers of a step outside of a transaction. Of statements that began and did not finish: indexes that are
-- invalid, and did not exist or were valid before; partitions that are detached, or half detached. Of finished
-- statements: constraints that they added and that are not validated.
SELECT jsonb_build_object(
    'indexes', coalesce(jsonb_agg(DISTINCT jsonb_build_object('schema', i.schema, 'name', i.name, 'table', i.tab, 'busy', i.busy))
                        FILTER (WHERE i.name IS NOT NULL), '[]'),
    'partitions', coalesce(jsonb_agg(DISTINCT jsonb_build_object(
                               'statement', s.detail->>'statement', 'pending', h.inhrelid IS NOT NULL,
                               'parent', format('%I.%I', pn.nspname, p.relname), 'child', format('%I.%I', cn.nspname, c.relname)))
                           FILTER (WHERE p.oid IS NOT NULL AND c.oid IS NOT NULL AND h.inhdetachpending IS NOT FALSE), '[]'),
    'constraints', coalesce(jsonb_agg(DISTINCT jsonb_build_object(
                                'statement', s.detail->>'statement', 'oid', k.oid::bigint, 'name', quote_ident(k.conname),
                                'on', CASE WHEN k.contypid = 0 THEN 'TABLE ' || k.conrelid::regclass ELSE 'DOMAIN ' || k.contypid::regtype END))
                            FILTER (WHERE k.oid IS NOT NULL), '[]'))
FROM (
{statements}
) AS s
LEFT JOIN (
{indexes}
) AS i ON s.detail->>'state' = 'begun' AND NOT coalesce(s.detail->'invalid', '[]') @> to_jsonb(i.indexrelid::bigint)
    -- A REINDEX of a whole schema or database names no table. Its leftovers have such a name.
    AND (s.detail->'tables' @> to_jsonb(i.indrelid::bigint) OR (s.detail->>'kind' = 'reindex' AND i.name ~ '_cc(new|old)[0-9]*$'))
LEFT JOIN LATERAL jsonb_array_elements(s.detail->'partitions') AS pair ON s.detail->>'state' = 'begun'
LEFT JOIN pg_class AS p ON p.oid = (pair->>0)::oid
LEFT JOIN pg_namespace AS pn ON pn.oid = p.relnamespace
LEFT JOIN pg_class AS c ON c.oid = (pair->>1)::oid
LEFT JOIN pg_namespace AS cn ON cn.oid = c.relnamespace
LEFT JOIN pg_inherits AS h ON h.inhparent = p.oid AND h.inhrelid = c.oid
LEFT JOIN LATERAL jsonb_array_elements(s.detail->'unvalidated') AS added ON s.detail->>'state' = 'done'
LEFT JOIN pg_constraint AS k ON k.oid = (added #>> '{}')::oid AND NOT k.convalidated
