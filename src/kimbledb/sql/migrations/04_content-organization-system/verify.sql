-- name: documented_query runs
SELECT * FROM categories ORDER BY created_at;

-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(wanted.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES ('categories', 'id'), ('categories', 'user_id'), ('categories', 'parent_id'), ('categories', 'name'),
             ('categories', 'description'), ('categories', 'color'), ('categories', 'icon'), ('categories', 'sort_order'),
             ('categories', 'metadata'), ('categories', 'created_at'), ('categories', 'updated_at'), ('projects', 'category_id'),
             ('conversations', 'category_id'), ('knowledge_base', 'category_id'), ('files', 'category_id')) AS wanted (tab, col)
LEFT JOIN LATERAL (
    SELECT col.attname FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col AND NOT col.attisdropped
    LIMIT 1
) AS a ON true;

-- name: keys_are_validated
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed, 'five validated keys to categories' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'five validated keys') AS found
FROM (VALUES
    ('categories', 'categories_parent_id_fkey', 'parent_id'), ('projects', 'projects_category_id_fkey', 'category_id'),
    ('conversations', 'conversations_category_id_fkey', 'category_id'),
    ('knowledge_base', 'knowledge_base_category_id_fkey', 'category_id'), ('files', 'files_category_id_fkey', 'category_id')
) AS wanted (tab, name, col)
-- Between columns of two types, as a database from before may have, a key waits for the repairs.
JOIN LATERAL (
    SELECT col.attrelid, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
    LIMIT 1
) AS a ON true
JOIN LATERAL (
    SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.categories') AND col.attname = 'id'
    LIMIT 1
) AS b ON b.atttypid = a.atttypid
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = a.attrelid AND con.conname = wanted.name
    LIMIT 1
) AS k ON true;

-- name: no_category_is_below_itself
WITH RECURSIVE walk (start, id) AS (
    SELECT id::text, parent_id::text FROM categories WHERE parent_id IS NOT NULL
    UNION
    SELECT walk.start, c.parent_id::text FROM walk JOIN categories AS c ON c.id::text = walk.id WHERE c.parent_id IS NOT NULL
)
SELECT count(*) FILTER (WHERE start = id) = 0 AS passed, '0 circles' AS expected,
       count(*) FILTER (WHERE start = id) || ' categories in circles' AS found
FROM walk;

-- name: indexes
SELECT count(*) FILTER (WHERE i.indisvalid IS NOT TRUE) = 0 AS passed, 'every index, valid' AS expected,
       coalesce('missing or invalid: ' || string_agg(wanted.name, ', ') FILTER (WHERE i.indisvalid IS NOT TRUE), 'every index, valid') AS found
FROM unnest(ARRAY['idx_categories_user_id_parent_id_name', 'idx_categories_parent_id', 'idx_projects_category_id',
                  'idx_conversations_category_id', 'idx_knowledge_base_category_id', 'idx_files_category_id']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: row_level_security
SELECT coalesce(bool_and(c.relrowsecurity), false) AS passed, 'on' AS expected,
       CASE WHEN bool_and(c.relrowsecurity) THEN 'on' ELSE 'off' END AS found
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'categories';

-- name: policies
-- Where ids of categories and people are text; on a database from before they wait for the repairs.
SELECT count(p.polname) = count(*) OR EXISTS (
           SELECT FROM unnest(ARRAY['categories.id', 'categories.user_id', 'projects.category_id', 'conversations.category_id',
                                    'knowledge_base.category_id', 'files.category_id']) AS compared (name)
           WHERE (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
                  WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
                    AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped) <> 'text'::regtype) AS passed,
       'every policy' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.polname IS NULL), 'every policy') AS found
FROM unnest(ARRAY['categories_owner', 'projects_own_category', 'conversations_own_category', 'knowledge_base_own_category',
                  'files_own_category']) AS wanted (name)
LEFT JOIN pg_catalog.pg_policy AS p
    ON p.polname = wanted.name
       AND (SELECT tab.relnamespace FROM pg_catalog.pg_class AS tab WHERE tab.oid = p.polrelid) = quote_ident(current_schema())::regnamespace;

-- name: triggers_are_enabled
SELECT count(t.oid) = 2 AS passed, 'categories_are_a_tree, categories_set_updated_at' AS expected,
       coalesce(string_agg(t.tgname, ', '), 'none') AS found
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'categories' AND t.tgenabled = 'O'
  AND t.tgname IN ('categories_are_a_tree', 'categories_set_updated_at');
