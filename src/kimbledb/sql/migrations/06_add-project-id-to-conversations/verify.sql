-- name: project_id_is_text_without_default
-- uuid or varchar is what a database from before may have, until FIX_PROJECT_ID_TYPE.sql.
SELECT count(*) = 1 AND bool_and((there.type IN ('text', 'uuid') OR there.type LIKE 'character%') AND there.fallback IS NULL) AS passed,
       'text, no default' AS expected,
       coalesce(string_agg(there.type || CASE WHEN there.type <> 'text' THEN ', to be converted' ELSE '' END
                           || ', ' || coalesce('default ' || there.fallback, 'no default'), '; '), 'no such column') AS found
FROM (
    SELECT format_type(col.atttypid, col.atttypmod) AS type,
           (SELECT pg_get_expr(def.adbin, def.adrelid) FROM pg_catalog.pg_attrdef AS def
            WHERE def.adrelid = col.attrelid AND def.adnum = col.attnum) AS fallback
    FROM pg_catalog.pg_class AS tab
    JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'conversations'
      AND col.attname = 'project_id' AND NOT col.attisdropped
) AS there;

-- name: project_id_is_a_key_to_projects
-- Deleting a project leaves the row, without one. Between uuid and text no key
-- is possible: then it waits for the repairs.
SELECT coalesce(bool_or(there.convalidated AND there.confdeltype = 'n'), false) OR (
           SELECT count(DISTINCT (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
                                   WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
                                     AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped)) > 1
           FROM unnest(ARRAY['conversations.project_id', 'projects.id']) AS compared (name)) AS passed,
       'FOREIGN KEY (project_id) REFERENCES projects(id) ON DELETE SET NULL, validated' AS expected,
       coalesce(string_agg(pg_get_constraintdef(there.oid) || CASE WHEN there.convalidated THEN ', validated' ELSE '' END, '; '), 'none') AS found
FROM pg_catalog.pg_constraint AS there
JOIN pg_catalog.pg_class AS tab ON tab.oid = there.conrelid
JOIN pg_catalog.pg_class AS parent ON parent.oid = there.confrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND parent.relnamespace = tab.relnamespace
  AND tab.relname = 'conversations' AND parent.relname = 'projects'
  AND there.contype = 'f' AND there.conname = 'conversations_project_id_fkey';

-- name: project_id_has_its_index
-- For a project's conversations, and for the key when a project is deleted.
SELECT bool_and(there.usable IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.usable IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('conversations', 'idx_conversations_project_id_updated_at')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS usable
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: nobody_writes_into_a_project_of_others
-- A restrictive policy, on a table with row level security. Where a column is
-- still uuid it waits for the repairs.
SELECT bool_and(tab.relrowsecurity) AND (count(pol.oid) = 1 OR (
           SELECT count(*) < 3
           FROM unnest(ARRAY['conversations.project_id', 'projects.id', 'projects.owner_id']) AS compared (name)
           WHERE (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
                  WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
                    AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped) = 'pg_catalog.text'::regtype)) AS passed,
       'row level security on, conversations_own_project restricts' AS expected,
       format('row level security %s, %s', CASE WHEN bool_and(tab.relrowsecurity) THEN 'on' ELSE 'off' END,
              coalesce(string_agg(pol.polname || ' restricts', ', '), 'no such policy')) AS found
FROM pg_catalog.pg_class AS tab
LEFT JOIN pg_catalog.pg_policy AS pol
    ON pol.polrelid = tab.oid AND pol.polname = 'conversations_own_project'
       AND NOT pol.polpermissive AND pol.polwithcheck IS NOT NULL
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'conversations';
