-- The tables of a schema, with the facts for making rows in them and for trying the access of a role.
SELECT coalesce(jsonb_agg(jsonb_build_object(
    'name', t.relname,
    'columns', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'name', a.attname,
            'type', format_type(coalesce(nullif(y.typbasetype, 0), y.oid), NULL),
            'category', y.typcategory,
            'size', a.atttypmod,
            'label', (SELECT e.enumlabel FROM pg_enum AS e WHERE e.enumtypid = coalesce(nullif(y.typbasetype, 0), y.oid) ORDER BY e.enumsortorder LIMIT 1),
            'required', a.attnotnull AND NOT a.atthasdef AND a.attidentity = '',
            'optional', NOT a.attnotnull AND NOT a.atthasdef,
            'made', a.attgenerated <> '' OR a.attidentity = 'a') ORDER BY a.attnum), '[]')
        FROM pg_attribute AS a JOIN pg_type AS y ON y.oid = a.atttypid
        WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'key', (
        SELECT coalesce(jsonb_agg(a.attname ORDER BY a.attnum), '[]')
        FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = t.oid AND i.indisprimary),
    'unique', (
        SELECT coalesce(jsonb_agg(DISTINCT a.attname), '[]')
        FROM pg_index AS i JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = ANY (i.indkey)
        WHERE i.indrelid = t.oid AND i.indisunique),
    'checks', (
        SELECT coalesce(jsonb_agg(pg_get_constraintdef(k.oid) ORDER BY k.conname), '[]')
        FROM pg_constraint AS k WHERE k.conrelid = t.oid AND k.contype = 'c'),
    'references', (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'table', p.relname,
            'part', k.confdeltype = 'c',
            'columns', (SELECT jsonb_agg(a.attname ORDER BY n) FROM unnest(k.conkey) WITH ORDINALITY AS c (num, n)
                        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = c.num),
            'targets', (SELECT jsonb_agg(a.attname ORDER BY n) FROM unnest(k.confkey) WITH ORDINALITY AS c (num, n)
                        JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = c.num)) ORDER BY k.conname), '[]')
        FROM pg_constraint AS k JOIN pg_class AS p ON p.oid = k.confrelid
        WHERE k.conrelid = t.oid AND k.contype = 'f' AND p.relnamespace = t.relnamespace)
    ) ORDER BY t.relname), '[]')
FROM pg_class AS t
WHERE t.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = {schema})
  AND t.relkind IN ('r', 'p') AND NOT t.relispartition
  AND t.relname NOT IN ('migration_history', 'migration_log')
