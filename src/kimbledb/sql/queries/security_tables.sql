-- What is wrong with who reaches the tables of a schema, and what only looks as if it held:
-- [check, object, reason, cure] for each finding.
WITH api (oid, name) AS (
    SELECT 0::oid, 'PUBLIC'
    UNION ALL
    -- The roles of API users, and the roles of which they are members.
    SELECT DISTINCT r.oid, pg_catalog.quote_ident(r.rolname)
    FROM pg_catalog.pg_roles AS r
    JOIN pg_catalog.pg_roles AS person ON person.rolname IN ('anon', 'authenticated')
    WHERE pg_catalog.pg_has_role(person.oid, r.oid, 'USAGE') AND NOT person.rolsuper
),
relation AS (
    SELECT c.oid, c.relkind, c.relowner, c.relacl, c.relrowsecurity, c.relispartition, c.reloptions,
           pg_catalog.format('%I.%I', n.nspname, c.relname) AS full_name, c.relname IN ('migration_history', 'migration_log') AS history
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = {schema} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d
                      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
),
granted AS MATERIALIZED (
    SELECT r.oid, r.full_name, r.relkind, r.relrowsecurity, r.relispartition, r.history, r.reloptions,
           NULL::text AS col, api.oid AS role, api.name AS who, acl.privilege_type AS privilege
    FROM relation AS r
    CROSS JOIN LATERAL pg_catalog.aclexplode(r.relacl) AS acl
    JOIN api ON api.oid = acl.grantee
    WHERE acl.grantee <> r.relowner
    UNION ALL
    SELECT r.oid, r.full_name, r.relkind, r.relrowsecurity, r.relispartition, r.history, r.reloptions,
           pg_catalog.quote_ident(a.attname), api.oid, api.name, acl.privilege_type
    FROM relation AS r
    JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
    CROSS JOIN LATERAL pg_catalog.aclexplode(a.attacl) AS acl
    JOIN api ON api.oid = acl.grantee
    WHERE acl.grantee <> r.relowner
),
policy AS MATERIALIZED (
    SELECT p.*, r.full_name, r.relrowsecurity, pg_catalog.format('%I on %s', p.polname, r.full_name) AS called,
           pg_catalog.pg_get_expr(p.polqual, p.polrelid) AS reads, pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) AS writes,
           -- A policy opens nothing to roles that have no privilege on its table.
           EXISTS (SELECT FROM api WHERE api.oid = ANY (p.polroles))
               AND EXISTS (SELECT FROM granted AS g WHERE g.oid = p.polrelid) AS for_people
    FROM pg_catalog.pg_policy AS p
    JOIN relation AS r ON r.oid = p.polrelid
),
condition AS MATERIALIZED (
    SELECT p.called, p.full_name, p.polname, p.polpermissive, p.for_people, e.part, e.text
    FROM policy AS p
    CROSS JOIN LATERAL (VALUES ('USING', p.reads), ('WITH CHECK', p.writes)) AS e (part, text)
    WHERE e.text IS NOT NULL
),
finding (name, object, reason, cure) AS (
    SELECT 'tables without row level security', full_name,
           pg_catalog.format('%s may %s%s', string_agg(DISTINCT who, ', '), lower(string_agg(DISTINCT privilege, ', ')),
                             CASE WHEN relispartition THEN ' this partition by its own name' ELSE '' END),
           pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', full_name)
    FROM granted
    WHERE relkind IN ('r', 'p') AND NOT relrowsecurity AND NOT history AND privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    GROUP BY full_name, relispartition
    UNION ALL
    SELECT 'policies that are off', called, 'row level security of the table is off, so that nobody asks the policy',
           pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', full_name)
    FROM policy WHERE NOT relrowsecurity
    UNION ALL
    SELECT 'tables without a policy', full_name, 'row level security is on and there is no policy: only owner and service read it',
           'if people are to reach it: CREATE POLICY ...'
    FROM relation AS r
    WHERE relkind IN ('r', 'p') AND relrowsecurity AND NOT history AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS p WHERE p.polrelid = r.oid)
    UNION ALL
    SELECT 'policies that are always true', called, pg_catalog.format('%s (%s) holds for every row', part, text),
           pg_catalog.format('ALTER POLICY %I ON %s %s (...), or drop it', polname, full_name, part)
    FROM condition
    WHERE polpermissive AND for_people AND (
        text ~ '^\(*true\)*$'
        OR text ~ '\mOR \(*true\M' OR text ~ '\mtrue\)* OR\M'
        -- Both sides the same: 1 = 1, id = id, by themselves or beside an OR.
        OR text ~ '(^|OR )\(*([^()= ][^()=]*?) = \2\)*($| OR)')
    UNION ALL
    SELECT 'write policies without a check', called, 'what it lets people write is not said',
           pg_catalog.format('ALTER POLICY %I ON %s WITH CHECK (...)', polname, full_name)
    FROM policy WHERE polpermissive AND for_people AND polcmd IN ('a', 'w', '*') AND polwithcheck IS NULL
    UNION ALL
    SELECT 'policies that trust what people can edit', called, pg_catalog.format('%s reads the metadata that people change themselves', part),
           pg_catalog.format('ALTER POLICY %I ON %s %s (...) on app_metadata or a table', polname, full_name, part)
    FROM condition WHERE text ~ '\m(raw_)?user_meta_?data\M'
    UNION ALL
    SELECT 'identity computed for each row', called, pg_catalog.format('%s calls it for every row', part),
           'write the call as a subquery, such as (SELECT auth.uid()): it is then computed once a query'
    FROM condition
    -- What is left when the subqueries without a table are taken out.
    WHERE regexp_replace(text, '\( SELECT [^()\n]*(\([^()\n]*(\([^()\n]*(\([^()\n]*\)[^()\n]*)*\)[^()\n]*)*\)[^()\n]*)*\)', '', 'g')
          ~ '\m(requesting_user_id\(\)|auth\.(uid|jwt|role|email)\(\)|current_setting\()'
    UNION ALL
    SELECT 'views with their owner''s rights', full_name,
           pg_catalog.format('%s may read it, and so all that its owner may', string_agg(DISTINCT who, ', ')),
           pg_catalog.format('ALTER VIEW %s SET (security_invoker = true)', full_name)
    FROM granted
    WHERE relkind = 'v' AND privilege = 'SELECT'
      AND NOT EXISTS (SELECT FROM unnest(reloptions) AS o WHERE lower(o) IN ('security_invoker=true', 'security_invoker=on', 'security_invoker=1', 'security_invoker=yes'))
    GROUP BY full_name
    UNION ALL
    SELECT 'copies without row level security', full_name,
           pg_catalog.format('%s may read it, and %s have no row level security', string_agg(DISTINCT who, ', '),
                             CASE relkind WHEN 'm' THEN 'materialized views' ELSE 'foreign tables' END),
           pg_catalog.format('REVOKE ALL ON %s FROM %s', full_name, string_agg(DISTINCT who, ', '))
    FROM granted WHERE relkind IN ('m', 'f') AND privilege = 'SELECT'
    GROUP BY full_name, relkind
    UNION ALL
    SELECT 'privileges past row level security', full_name,
           pg_catalog.format('%s may %s', string_agg(DISTINCT who, ', '), lower(string_agg(DISTINCT privilege, ', '))),
           pg_catalog.format('REVOKE %s ON %s FROM %s', string_agg(DISTINCT privilege, ', '), full_name, string_agg(DISTINCT who, ', '))
    FROM granted
    WHERE relkind <> 'S' AND col IS NULL AND NOT history AND privilege IN ('TRUNCATE', 'REFERENCES', 'TRIGGER', 'MAINTAIN')
    GROUP BY full_name
    UNION ALL
    -- A grant on a column is right where a policy speaks of what it lets people do.
    SELECT 'grants that nobody looks at', full_name || '.' || col,
           pg_catalog.format('%s may %s this column, and no policy speaks of that', string_agg(DISTINCT who, ', '), lower(privilege)),
           pg_catalog.format('REVOKE %s (%s) ON %s FROM %s', privilege, col, full_name, string_agg(DISTINCT who, ', '))
    FROM granted AS g
    WHERE col IS NOT NULL AND relkind IN ('r', 'p') AND NOT history
      AND NOT EXISTS (
          SELECT FROM policy AS p
          WHERE p.polrelid = g.oid AND p.polpermissive AND (g.role = ANY (p.polroles) OR 0 = ANY (p.polroles))
            AND p.polcmd IN ('*', CASE g.privilege WHEN 'SELECT' THEN 'r' WHEN 'INSERT' THEN 'a' WHEN 'UPDATE' THEN 'w' END::"char"))
    GROUP BY full_name, col, privilege
    UNION ALL
    -- And one on a sequence, where the role inserts into its table.
    SELECT 'grants that nobody looks at', full_name,
           pg_catalog.format('%s may %s this sequence%s', string_agg(DISTINCT who, ', '), lower(string_agg(DISTINCT privilege, ', ')),
                             CASE WHEN bool_or(privilege = 'UPDATE') THEN '' ELSE ', and not insert into its table' END),
           pg_catalog.format('REVOKE %s ON SEQUENCE %s FROM %s', string_agg(DISTINCT privilege, ', '), full_name, string_agg(DISTINCT who, ', '))
    FROM granted AS g
    WHERE relkind = 'S'
      AND (privilege = 'UPDATE' OR NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend AS d
          JOIN granted AS i ON i.oid = d.refobjid AND i.privilege = 'INSERT' AND i.role IN (g.role, 0)
          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = g.oid AND d.deptype IN ('a', 'i')
          UNION ALL
          -- Or it is no column's own, and a default takes values from it.
          SELECT FROM pg_catalog.pg_depend AS d
          JOIN pg_catalog.pg_attrdef AS a ON d.classid = 'pg_catalog.pg_attrdef'::regclass AND a.oid = d.objid
          JOIN granted AS i ON i.oid = a.adrelid AND i.privilege = 'INSERT' AND i.role IN (g.role, 0)
          WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = g.oid))
    GROUP BY full_name
    UNION ALL
    SELECT 'history is open', full_name, pg_catalog.format('%s may %s', string_agg(DISTINCT who, ', '), lower(string_agg(DISTINCT privilege, ', '))),
           pg_catalog.format('REVOKE ALL ON %s FROM %s', full_name, string_agg(DISTINCT who, ', '))
    FROM granted WHERE history GROUP BY full_name
    UNION ALL
    SELECT 'history is open', full_name, 'its row level security is off', pg_catalog.format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', full_name)
    FROM relation WHERE history AND relkind = 'r' AND NOT relrowsecurity
    UNION ALL
    SELECT 'invalid indexes', i.indexrelid::regclass::text, 'an earlier build of it failed: nothing uses it, and it keeps no duplicates out',
           pg_catalog.format('REINDEX INDEX CONCURRENTLY %s', i.indexrelid::regclass)
    FROM pg_catalog.pg_index AS i JOIN relation AS r ON r.oid = i.indrelid
    WHERE NOT (i.indisvalid AND i.indisready)
    UNION ALL
    SELECT 'constraints not validated', pg_catalog.format('%I on %s', k.conname, r.full_name), 'rows from before it may break it',
           pg_catalog.format('ALTER TABLE %s VALIDATE CONSTRAINT %I', r.full_name, k.conname)
    FROM pg_catalog.pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
    WHERE NOT k.convalidated
    UNION ALL
    SELECT DISTINCT 'disabled triggers', pg_catalog.format('%I on %s', coalesce(k.conname, t.tgname), r.full_name),
           'it does not fire' || CASE t.tgenabled WHEN 'R' THEN ' but on a replica' ELSE '' END,
           pg_catalog.format('ALTER TABLE %s ENABLE TRIGGER %s', r.full_name, CASE WHEN t.tgisinternal THEN 'ALL' ELSE quote_ident(t.tgname) END)
    FROM pg_catalog.pg_trigger AS t
    JOIN relation AS r ON r.oid = t.tgrelid
    LEFT JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint
    WHERE t.tgenabled IN ('D', 'R')
    UNION ALL
    SELECT 'foreign keys without an index', pg_catalog.format('%I on %s', k.conname, r.full_name),
           'to delete a row that it points to reads the whole table',
           pg_catalog.format('CREATE INDEX ON %s (%s)', r.full_name, (
               SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY key.place)
               FROM unnest(k.conkey) WITH ORDINALITY AS key (attnum, place)
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = key.attnum))
    FROM pg_catalog.pg_constraint AS k JOIN relation AS r ON r.oid = k.conrelid
    WHERE k.contype = 'f' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_index AS i
        WHERE i.indrelid = k.conrelid AND i.indisvalid
          -- Its first columns are those of the key, in any order. A partial one that only leaves nulls of the key out will do.
          AND k.conkey <@ (i.indkey::int2[])[0:cardinality(k.conkey) - 1]
          AND (i.indpred IS NULL OR pg_catalog.pg_get_expr(i.indpred, i.indrelid) IN (
              SELECT pg_catalog.format('(%I IS NOT NULL)', a.attname)
              FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey))))
)
SELECT coalesce(jsonb_agg(jsonb_build_array(name, object, reason, cure) ORDER BY name, object, reason), '[]') FROM finding
