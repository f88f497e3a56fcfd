-- name: source_id_is_unique
-- What ON CONFLICT (source_id) needs: a unique constraint on that column alone,
-- at once, with a valid index.
SELECT count(*) = 1 AS passed,
       'UNIQUE (source_id), valid, not deferrable' AS expected,
       coalesce((SELECT string_agg(pg_get_constraintdef(con.oid), '; ')
                 FROM pg_catalog.pg_constraint AS con
                 JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
                 WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'knowledge_base'
                   AND con.conname = 'knowledge_base_source_id_key'), 'no such constraint') AS found
FROM pg_catalog.pg_constraint AS con
JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
JOIN pg_catalog.pg_index AS ind ON ind.indexrelid = con.conindid
JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = 'source_id'
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'knowledge_base'
  AND con.conname = 'knowledge_base_source_id_key' AND con.contype = 'u' AND con.conkey = ARRAY[col.attnum]
  AND NOT con.condeferrable AND ind.indisvalid AND ind.indisready AND ind.indpred IS NULL;

-- name: source_checks_are_validated
SELECT bool_and(there.convalidated IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.conname IS NULL THEN 'missing' ELSE 'not validated' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.convalidated IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('knowledge_base', 'knowledge_base_source_id_check'),
    ('knowledge_base', 'knowledge_base_source_type_check')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT con.conname, con.convalidated
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name
    LIMIT 1
) AS there ON true;

-- name: no_two_entries_share_a_source
SELECT count(*) = 0 AS passed, 'none' AS expected,
       coalesce(string_agg(format('%L in %s rows', twin.source_id, twin.times), ', '), 'none') AS found
FROM (
    SELECT source_id, count(*) AS times
    FROM knowledge_base
    WHERE source_id IS NOT NULL
    GROUP BY source_id
    HAVING count(*) > 1
    LIMIT 5
) AS twin;

-- name: constraints_are_described
SELECT count(*) = 3 AS passed, '3 comments' AS expected, format('%s comments', count(*)) AS found
FROM pg_catalog.pg_constraint AS con
JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'knowledge_base'
  AND con.conname IN ('knowledge_base_source_id_key', 'knowledge_base_source_id_check', 'knowledge_base_source_type_check')
  AND obj_description(con.oid, 'pg_constraint') IS NOT NULL;
