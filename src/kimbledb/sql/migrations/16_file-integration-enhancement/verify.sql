-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(listed.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES
    ('file_relationships', '{id,file_id,related_file_id,relationship_type,confidence,metadata,created_at}'),
    ('file_sources', '{id,file_id,source,source_id,source_url,source_metadata,first_seen_at,last_seen_at}'),
    ('knowledge_base', '{file_id}')
) AS listed (tab, cols)
CROSS JOIN LATERAL unnest(listed.cols::text[]) AS wanted (col)
LEFT JOIN LATERAL (
    SELECT col.attname FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || listed.tab) AND col.attname = wanted.col AND NOT col.attisdropped
    LIMIT 1
) AS a ON true;

-- name: constraints
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed, 'every constraint' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'every constraint') AS found
FROM unnest(ARRAY['file_relationships_pkey', 'file_relationships_pair_key', 'file_relationships_relationship_type_check',
                  'file_relationships_confidence_check', 'file_relationships_related_file_id_check', 'file_sources_pkey',
                  'file_sources_file_id_source_source_id_key', 'file_sources_source_check',
                  'file_sources_last_seen_at_check']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.connamespace = quote_ident(current_schema())::regnamespace AND con.conname = wanted.name
    OFFSET 0  -- each by the index
) AS k ON true;

-- name: keys_are_validated
-- Between columns of two types (a database from before) a key waits for the repairs.
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed, 'every key between columns of one type, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'every key') AS found
FROM (VALUES
    ('knowledge_base', 'knowledge_base_file_id_fkey', 'file_id', 'file_registry', 'id'),
    ('file_relationships', 'file_relationships_file_id_fkey', 'file_id', 'file_registry', 'id'),
    ('file_relationships', 'file_relationships_related_file_id_fkey', 'related_file_id', 'file_registry', 'id'),
    ('file_sources', 'file_sources_file_id_fkey', 'file_id', 'file_registry', 'id')
) AS wanted (tab, name, col, parent, parent_col)
JOIN LATERAL (
    SELECT col.attrelid, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
    LIMIT 1
) AS a ON true
JOIN LATERAL (
    SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.parent) AND col.attname = wanted.parent_col
    LIMIT 1
) AS b ON b.atttypid = a.atttypid
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = a.attrelid AND con.conname = wanted.name AND con.contype = 'f'
    LIMIT 1
) AS k ON true;

-- name: indexes
SELECT count(*) FILTER (WHERE i.indisvalid IS NOT TRUE) = 0 AS passed, 'every index, valid' AS expected,
       coalesce('missing or invalid: ' || string_agg(wanted.name, ', ') FILTER (WHERE i.indisvalid IS NOT TRUE), 'every index, valid') AS found
FROM unnest(ARRAY['idx_knowledge_base_file_id', 'idx_file_relationships_related_file_id', 'idx_file_relationships_type',
                  'idx_file_sources_source']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['file_registry_track_source']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace;

-- name: functions
SELECT count(*) FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')) = 0 AS passed,
       'every function, by the rights of the caller, its search_path pinned' AS expected,
       coalesce('missing or otherwise: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')), 'every function') AS found
FROM unnest(ARRAY['link_duplicate_files()', 'file_registry_track_source()']) AS wanted (name)
LEFT JOIN pg_catalog.pg_proc AS p ON p.pronamespace = quote_ident(current_schema())::regnamespace
    AND p.proname = split_part(wanted.name, '(', 1) AND p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' = wanted.name;

-- name: views_run_by_the_rights_of_the_caller
SELECT count(*) FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))) = 0 AS passed,
       'every view, with security_invoker' AS expected,
       coalesce('missing or open: ' || string_agg(wanted.name, ', ')
                FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))), 'every view') AS found
FROM unnest(ARRAY['duplicate_files']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name AND c.relkind = 'v';

-- name: row_level_security
SELECT count(*) FILTER (WHERE c.relrowsecurity IS NOT TRUE) = 0 AS passed, 'on for every table' AS expected,
       coalesce('off for ' || string_agg(wanted.name, ', ') FILTER (WHERE c.relrowsecurity IS NOT TRUE), 'on for every table') AS found
FROM unnest(ARRAY['file_relationships', 'file_sources']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name;

-- name: policies
-- One that compares a column that is not text yet waits for the repairs.
SELECT count(*) FILTER (WHERE p.policyname IS NULL) = 0 AS passed, 'every policy' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.policyname IS NULL), 'every policy') AS found
FROM (VALUES
    ('knowledge_base', 'knowledge_base_own_file', ARRAY['file_registry.id', 'file_registry.user_id', 'knowledge_base.file_id']),
    ('file_relationships', 'file_relationships_owner', ARRAY['file_registry.id', 'file_registry.user_id']),
    ('file_sources', 'file_sources_owner', ARRAY['file_registry.id', 'file_registry.user_id'])
) AS wanted (tab, name, compares)
LEFT JOIN LATERAL (
    SELECT pol.polname AS policyname FROM pg_catalog.pg_policy AS pol
    WHERE pol.polrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND pol.polname = wanted.name
    LIMIT 1
) AS p ON true
WHERE NOT EXISTS (
    SELECT FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
           WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped) <> 'text'::regtype);
