-- name: documented_query runs
SELECT * FROM backups ORDER BY created_at DESC LIMIT 10;

-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(listed.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES
    ('backups', '{id,user_id,backup_type,status,data_counts,backup_data,backup_size_bytes,total_size,file_count,duration_seconds,storage_location,drive_file_id,drive_file_url,drive_uploaded_at,error_message,is_restore_point,restore_point_name,restored_at,expires_at,started_at,completed_at,created_at,updated_at}')
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
FROM unnest(ARRAY['backups_pkey', 'backups_backup_type_check', 'backups_status_check', 'backups_backup_size_bytes_check',
                  'backups_total_size_check', 'backups_file_count_check', 'backups_completed_at_check']) AS wanted (name)
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
    ('backups', 'backups_user_id_fkey', 'user_id', 'users', 'id')
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
FROM unnest(ARRAY['idx_backups_user_id', 'idx_backups_created_at', 'idx_backups_drive_file_id',
                  'idx_backups_restore_points', 'idx_backups_expires_at']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['backups_set_updated_at']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace;

-- name: views_run_by_the_rights_of_the_caller
SELECT count(*) FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))) = 0 AS passed,
       'every view, with security_invoker' AS expected,
       coalesce('missing or open: ' || string_agg(wanted.name, ', ')
                FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))), 'every view') AS found
FROM unnest(ARRAY['restore_points']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name AND c.relkind = 'v';

-- name: row_level_security
SELECT count(*) FILTER (WHERE c.relrowsecurity IS NOT TRUE) = 0 AS passed, 'on for every table' AS expected,
       coalesce('off for ' || string_agg(wanted.name, ', ') FILTER (WHERE c.relrowsecurity IS NOT TRUE), 'on for every table') AS found
FROM unnest(ARRAY['backups']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name;

-- name: policies
-- One that compares a column that is not text yet waits for the repairs.
SELECT count(*) FILTER (WHERE p.policyname IS NULL) = 0 AS passed, 'every policy' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.policyname IS NULL), 'every policy') AS found
FROM (VALUES
    ('backups', 'backups_owner_read', ARRAY['backups.user_id'])
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
