-- The document's queries of the whole database, each as a check: its tables with their sizes, row level security,
-- extensions, indexes, foreign keys, history.
WITH target AS (
    SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = {schema}
),
tab AS (
    SELECT c.oid, c.relname, c.relrowsecurity, c.relkind,
           -- Whether API users can reach it at all.
           EXISTS (SELECT FROM aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) AS acl
                   LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = acl.grantee
                   WHERE acl.grantee = 0 OR r.rolname IN ('anon', 'authenticated')) AS open
    FROM pg_catalog.pg_class AS c
    WHERE c.relnamespace = (SELECT oid FROM target) AND c.relkind IN ('r', 'p')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
checks (place, name, passed, expected, seen, hint, rows) AS (
    SELECT 1, 'tables', count(*) > 0, 'at least one table', count(*) || ' tables', NULL,
           jsonb_agg(jsonb_build_object('table', relname,
                                        'size', pg_size_pretty(CASE WHEN relkind = 'r' THEN pg_total_relation_size(oid) ELSE 0 END))
                     ORDER BY relname)
    FROM tab
    UNION ALL
    SELECT 2, 'row level security', bool_and(relrowsecurity OR NOT open), 'on for every table that API roles or PUBLIC can reach',
           coalesce('off for ' || string_agg(relname, ', ' ORDER BY relname) FILTER (WHERE open AND NOT relrowsecurity),
                    format('on for %s of %s tables', count(*) FILTER (WHERE relrowsecurity), count(*))),
           'ALTER TABLE ... ENABLE ROW LEVEL SECURITY',
           jsonb_agg(jsonb_build_object('table', relname, 'rowsecurity', relrowsecurity) ORDER BY relname)
    FROM tab
    UNION ALL
    SELECT 3, 'extensions', bool_and(e.oid IS NOT NULL), string_agg(wanted.name, ', ' ORDER BY wanted.name),
           coalesce(string_agg(
               e.extname || ' ' || e.extversion
               -- The embedded server's uuid-ossp is written in SQL, since the real one needs a library of the system's.
               || CASE WHEN e.extname = 'uuid-ossp' AND NOT EXISTS (
                      SELECT FROM pg_catalog.pg_depend AS d
                      JOIN pg_catalog.pg_proc AS p ON d.classid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.objid
                      JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang AND l.lanname = 'c'
                      WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.refobjid = e.oid)
                  THEN ' (a stand-in written in SQL)' ELSE '' END,
               ', ' ORDER BY wanted.name) FILTER (WHERE e.oid IS NOT NULL), 'none'),
           'CREATE EXTENSION, by an administrator where the role may not',
           jsonb_agg(jsonb_build_object('extension', wanted.name, 'version', e.extversion, 'schema', n.nspname,
                                        'comment', obj_description(e.oid, 'pg_extension')) ORDER BY wanted.name)
    FROM unnest({extensions}) AS wanted (name)
    LEFT JOIN pg_catalog.pg_extension AS e ON e.extname = wanted.name
    LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = e.extnamespace
    HAVING count(*) > 0
    UNION ALL
    SELECT 4, 'indexes', coalesce(bool_and(i.indisvalid AND i.indisready), true), 'every index valid',
           coalesce('invalid: ' || string_agg(c.relname, ', ' ORDER BY c.relname) FILTER (WHERE NOT (i.indisvalid AND i.indisready)),
                    count(*) || ' indexes, every one valid'),
           'REINDEX INDEX CONCURRENTLY ..., or drop it and run the migration again',
           coalesce(jsonb_agg(jsonb_build_object('table', tab.relname, 'index', c.relname, 'definition', pg_get_indexdef(c.oid))
                              ORDER BY tab.relname, c.relname), '[]')
    FROM pg_catalog.pg_index AS i
    JOIN tab ON tab.oid = i.indrelid
    JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
    UNION ALL
    SELECT 5, 'foreign keys', coalesce(bool_and(k.convalidated), true), 'every foreign key validated',
           coalesce('not validated: ' || string_agg(k.conname, ', ' ORDER BY k.conname) FILTER (WHERE NOT k.convalidated),
                    count(*) || ' foreign keys, every one validated'),
           'ALTER TABLE ... VALIDATE CONSTRAINT ...',
           coalesce(jsonb_agg(jsonb_build_object('table', tab.relname, 'constraint', k.conname, 'foreign_table', parent.relname,
                                                 'definition', pg_get_constraintdef(k.oid)) ORDER BY tab.relname, k.conname), '[]')
    FROM pg_catalog.pg_constraint AS k
    JOIN tab ON tab.oid = k.conrelid
    JOIN pg_catalog.pg_class AS parent ON parent.oid = k.confrelid
    WHERE k.contype = 'f'
    UNION ALL
    -- A history of another tool has no log beside it before kimbledb writes.
    SELECT 6, 'history', bool_or(relname = 'migration_history'), 'migration_history', coalesce(string_agg(relname, ' and ' ORDER BY relname), 'none'),
           'run migrate(), or adopt()', '[]'
    FROM tab WHERE relname IN ('migration_history', 'migration_log')
)
SELECT jsonb_agg(jsonb_build_object('name', name, 'passed', coalesce(passed, false), 'expected', expected, 'found', seen,
                                    'hint', hint, 'rows', coalesce(rows, '[]')) ORDER BY place)
FROM checks
