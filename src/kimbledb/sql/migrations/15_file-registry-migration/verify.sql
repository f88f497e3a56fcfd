-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(listed.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES
    ('file_registry', '{id,user_id,file_id,file_source,source_id,source_metadata,filename,mime_type,file_size,storage_path,preview_url,thumbnail_url,thumbnail_path,processed,processing_status,processing_result,processing_error,processing_started_at,processing_completed_at,knowledge_base_ids,tags,projects,metadata,content_hash,version,previous_version_id,is_current_version,indexed_at,created_at,updated_at}')
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
FROM unnest(ARRAY['file_registry_pkey', 'file_registry_file_source_check', 'file_registry_processing_status_check',
                  'file_registry_file_size_check', 'file_registry_version_check',
                  'file_registry_previous_version_id_check']) AS wanted (name)
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
    ('file_registry', 'file_registry_user_id_fkey', 'user_id', 'users', 'id'),
    ('file_registry', 'file_registry_file_id_fkey', 'file_id', 'files', 'id'),
    ('file_registry', 'file_registry_previous_version_id_fkey', 'previous_version_id', 'file_registry', 'id')
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
FROM unnest(ARRAY['idx_file_registry_user_id', 'idx_file_registry_indexed_at', 'idx_file_registry_source',
                  'idx_file_registry_file_id', 'idx_file_registry_previous_version_id', 'idx_file_registry_content_hash',
                  'idx_file_registry_mime_type', 'idx_file_registry_filename', 'idx_file_registry_tags',
                  'idx_file_registry_projects', 'idx_file_registry_metadata', 'idx_file_registry_source_metadata',
                  'idx_file_registry_unprocessed']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['file_registry_track_processing', 'file_registry_next_version', 'file_registry_set_updated_at']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace;

-- name: functions
SELECT count(*) FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')) = 0 AS passed,
       'every function, by the rights of the caller, its search_path pinned' AS expected,
       coalesce('missing or otherwise: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')), 'every function') AS found
FROM unnest(ARRAY['file_registry_track_processing()', 'file_registry_next_version()']) AS wanted (name)
LEFT JOIN pg_catalog.pg_proc AS p ON p.pronamespace = quote_ident(current_schema())::regnamespace
    AND p.proname = split_part(wanted.name, '(', 1) AND p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' = wanted.name;

-- name: row_level_security
SELECT count(*) FILTER (WHERE c.relrowsecurity IS NOT TRUE) = 0 AS passed, 'on for every table' AS expected,
       coalesce('off for ' || string_agg(wanted.name, ', ') FILTER (WHERE c.relrowsecurity IS NOT TRUE), 'on for every table') AS found
FROM unnest(ARRAY['file_registry']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name;

-- name: policies
-- One that compares a column that is not text yet waits for the repairs.
SELECT count(*) FILTER (WHERE p.policyname IS NULL) = 0 AS passed, 'every policy' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.policyname IS NULL), 'every policy') AS found
FROM (VALUES
    ('file_registry', 'file_registry_owner', ARRAY['file_registry.user_id', 'files.id', 'files.user_id'])
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
