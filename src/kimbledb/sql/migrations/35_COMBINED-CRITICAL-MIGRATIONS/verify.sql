-- name: columns_have_their_types
-- The ids are asked by their keys, and by COMPREHENSIVE_TYPE_FIX.sql.
SELECT count(*) FILTER (WHERE there.type IS DISTINCT FROM wanted.type OR (wanted.fallback AND NOT there.fallback)) = 0 AS passed,
       'every column, of its type, with its default' AS expected,
       coalesce(string_agg(format('%s.%s %s', wanted.tab, wanted.col,
                                  CASE WHEN there.type = wanted.type THEN 'without a default' ELSE coalesce(there.type, 'missing') END), ', ')
                    FILTER (WHERE there.type IS DISTINCT FROM wanted.type OR (wanted.fallback AND NOT there.fallback)),
                'every column, of its type, with its default') AS found
FROM (VALUES
    ('file_registry', 'file_source', 'text', true),
    ('file_registry', 'source_id', 'text', false),
    ('file_registry', 'source_metadata', 'jsonb', true),
    ('file_registry', 'filename', 'text', false),
    ('file_registry', 'mime_type', 'text', false),
    ('file_registry', 'file_size', 'bigint', false),
    ('file_registry', 'storage_path', 'text', false),
    ('file_registry', 'preview_url', 'text', false),
    ('file_registry', 'thumbnail_url', 'text', false),
    ('file_registry', 'thumbnail_path', 'text', false),
    ('file_registry', 'processed', 'boolean', true),
    ('file_registry', 'processing_status', 'text', true),
    ('file_registry', 'processing_result', 'jsonb', false),
    ('file_registry', 'processing_error', 'text', false),
    ('file_registry', 'processing_started_at', 'timestamp with time zone', false),
    ('file_registry', 'processing_completed_at', 'timestamp with time zone', false),
    ('file_registry', 'knowledge_base_ids', 'text[]', true),
    ('file_registry', 'tags', 'text[]', true),
    ('file_registry', 'projects', 'text[]', true),
    ('file_registry', 'metadata', 'jsonb', true),
    ('file_registry', 'content_hash', 'text', false),
    ('file_registry', 'version', 'integer', true),
    ('file_registry', 'is_current_version', 'boolean', true),
    ('file_registry', 'indexed_at', 'timestamp with time zone', false),
    ('file_registry', 'created_at', 'timestamp with time zone', true),
    ('file_registry', 'updated_at', 'timestamp with time zone', true),
    ('file_relationships', 'relationship_type', 'text', false),
    ('file_relationships', 'confidence', 'double precision', true),
    ('file_relationships', 'metadata', 'jsonb', true),
    ('file_relationships', 'created_at', 'timestamp with time zone', true),
    ('file_sources', 'source', 'text', false),
    ('file_sources', 'source_id', 'text', false),
    ('file_sources', 'source_url', 'text', false),
    ('file_sources', 'source_metadata', 'jsonb', true),
    ('file_sources', 'first_seen_at', 'timestamp with time zone', true),
    ('file_sources', 'last_seen_at', 'timestamp with time zone', true),
    ('notifications', 'type', 'text', true),
    ('notifications', 'title', 'text', false),
    ('notifications', 'message', 'text', false),
    ('notifications', 'link', 'text', false),
    ('notifications', 'priority', 'text', true),
    ('notifications', 'status', 'text', true),
    ('notifications', 'read', 'boolean', true),
    ('notifications', 'read_at', 'timestamp with time zone', false),
    ('notifications', 'metadata', 'jsonb', true),
    ('notifications', 'data', 'jsonb', true),
    ('notifications', 'email_sent', 'boolean', true),
    ('notifications', 'email_sent_at', 'timestamp with time zone', false),
    ('notifications', 'email_address', 'text', false),
    ('notifications', 'email_error', 'text', false),
    ('notifications', 'email_attempts', 'integer', true),
    ('notifications', 'expires_at', 'timestamp with time zone', false),
    ('notifications', 'created_at', 'timestamp with time zone', true),
    ('notifications', 'updated_at', 'timestamp with time zone', true),
    ('backups', 'backup_type', 'text', true),
    ('backups', 'status', 'text', true),
    ('backups', 'data_counts', 'jsonb', true),
    ('backups', 'backup_data', 'jsonb', false),
    ('backups', 'backup_size_bytes', 'bigint', false),
    ('backups', 'total_size', 'bigint', false),
    ('backups', 'file_count', 'integer', false),
    ('backups', 'duration_seconds', 'double precision', false),
    ('backups', 'storage_location', 'text', false),
    ('backups', 'drive_file_id', 'text', false),
    ('backups', 'drive_file_url', 'text', false),
    ('backups', 'drive_uploaded_at', 'timestamp with time zone', false),
    ('backups', 'error_message', 'text', false),
    ('backups', 'is_restore_point', 'boolean', true),
    ('backups', 'restore_point_name', 'text', false),
    ('backups', 'restored_at', 'timestamp with time zone', false),
    ('backups', 'expires_at', 'timestamp with time zone', false),
    ('backups', 'started_at', 'timestamp with time zone', false),
    ('backups', 'completed_at', 'timestamp with time zone', false),
    ('backups', 'created_at', 'timestamp with time zone', true),
    ('backups', 'updated_at', 'timestamp with time zone', true)
) AS wanted (tab, col, type, fallback)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) AS type, col.atthasdef OR col.attidentity <> '' AS fallback
    FROM pg_catalog.pg_class AS tab
    JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = wanted.col AND col.attnum > 0 AND NOT col.attisdropped
    WHERE tab.oid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND tab.relkind IN ('r', 'p')
    LIMIT 1
) AS there ON true;

-- name: parts_are_there
-- Constraints validated, indexes valid, triggers enabled. A key or a policy still
-- waits where a column that it compares is not text.
SELECT count(*) FILTER (WHERE there.works IS NOT TRUE) = 0 AS passed,
       'every part' AS expected,
       coalesce('missing or not in force: ' || string_agg(format('%s %s on %s', wanted.kind, wanted.name, wanted.tab), ', ')
                    FILTER (WHERE there.works IS NOT TRUE), 'every part') AS found
FROM (VALUES
    ('constraint', 'file_registry', 'file_registry_pkey', NULL::text[]),
    ('constraint', 'file_registry', 'file_registry_file_source_check', NULL),
    ('constraint', 'file_registry', 'file_registry_processing_status_check', NULL),
    ('constraint', 'file_registry', 'file_registry_file_size_check', NULL),
    ('constraint', 'file_registry', 'file_registry_version_check', NULL),
    ('constraint', 'file_registry', 'file_registry_previous_version_id_check', NULL),
    ('index', 'file_registry', 'idx_file_registry_user_id', NULL),
    ('index', 'file_registry', 'idx_file_registry_indexed_at', NULL),
    ('index', 'file_registry', 'idx_file_registry_source', NULL),
    ('index', 'file_registry', 'idx_file_registry_file_id', NULL),
    ('index', 'file_registry', 'idx_file_registry_previous_version_id', NULL),
    ('index', 'file_registry', 'idx_file_registry_content_hash', NULL),
    ('index', 'file_registry', 'idx_file_registry_mime_type', NULL),
    ('index', 'file_registry', 'idx_file_registry_filename', NULL),
    ('index', 'file_registry', 'idx_file_registry_tags', NULL),
    ('index', 'file_registry', 'idx_file_registry_projects', NULL),
    ('index', 'file_registry', 'idx_file_registry_metadata', NULL),
    ('index', 'file_registry', 'idx_file_registry_source_metadata', NULL),
    ('index', 'file_registry', 'idx_file_registry_unprocessed', NULL),
    ('trigger', 'file_registry', 'file_registry_track_processing', NULL),
    ('trigger', 'file_registry', 'file_registry_next_version', NULL),
    ('trigger', 'file_registry', 'file_registry_set_updated_at', NULL),
    ('constraint', 'file_relationships', 'file_relationships_pkey', NULL),
    ('constraint', 'file_relationships', 'file_relationships_pair_key', NULL),
    ('constraint', 'file_relationships', 'file_relationships_relationship_type_check', NULL),
    ('constraint', 'file_relationships', 'file_relationships_confidence_check', NULL),
    ('constraint', 'file_relationships', 'file_relationships_related_file_id_check', NULL),
    ('constraint', 'file_sources', 'file_sources_pkey', NULL),
    ('constraint', 'file_sources', 'file_sources_file_id_source_source_id_key', NULL),
    ('constraint', 'file_sources', 'file_sources_source_check', NULL),
    ('constraint', 'file_sources', 'file_sources_last_seen_at_check', NULL),
    ('index', 'knowledge_base', 'idx_knowledge_base_file_id', NULL),
    ('index', 'file_relationships', 'idx_file_relationships_related_file_id', NULL),
    ('index', 'file_relationships', 'idx_file_relationships_type', NULL),
    ('index', 'file_sources', 'idx_file_sources_source', NULL),
    ('trigger', 'file_registry', 'file_registry_track_source', NULL),
    ('constraint', 'notifications', 'notifications_pkey', NULL),
    ('constraint', 'notifications', 'notifications_type_check', NULL),
    ('constraint', 'notifications', 'notifications_priority_check', NULL),
    ('constraint', 'notifications', 'notifications_status_check', NULL),
    ('constraint', 'notifications', 'notifications_email_attempts_check', NULL),
    ('index', 'notifications', 'idx_notifications_user_id', NULL),
    ('index', 'notifications', 'idx_notifications_unread', NULL),
    ('index', 'notifications', 'idx_notifications_email_pending', NULL),
    ('index', 'notifications', 'idx_notifications_expires_at', NULL),
    ('trigger', 'notifications', 'notifications_track_reading', NULL),
    ('trigger', 'notifications', 'notifications_set_updated_at', NULL),
    ('constraint', 'backups', 'backups_pkey', NULL),
    ('constraint', 'backups', 'backups_backup_type_check', NULL),
    ('constraint', 'backups', 'backups_status_check', NULL),
    ('constraint', 'backups', 'backups_backup_size_bytes_check', NULL),
    ('constraint', 'backups', 'backups_total_size_check', NULL),
    ('constraint', 'backups', 'backups_file_count_check', NULL),
    ('constraint', 'backups', 'backups_completed_at_check', NULL),
    ('index', 'backups', 'idx_backups_user_id', NULL),
    ('index', 'backups', 'idx_backups_created_at', NULL),
    ('index', 'backups', 'idx_backups_drive_file_id', NULL),
    ('index', 'backups', 'idx_backups_restore_points', NULL),
    ('index', 'backups', 'idx_backups_expires_at', NULL),
    ('trigger', 'backups', 'backups_set_updated_at', NULL),
    ('constraint', 'file_registry', 'file_registry_user_id_fkey', ARRAY['file_registry.user_id', 'users.id']),
    ('constraint', 'file_registry', 'file_registry_file_id_fkey', ARRAY['file_registry.file_id', 'files.id']),
    ('constraint', 'file_registry', 'file_registry_previous_version_id_fkey', ARRAY['file_registry.previous_version_id', 'file_registry.id']),
    ('policy', 'file_registry', 'file_registry_owner', ARRAY['file_registry.user_id', 'files.id', 'files.user_id']),
    ('constraint', 'knowledge_base', 'knowledge_base_file_id_fkey', ARRAY['knowledge_base.file_id', 'file_registry.id']),
    ('constraint', 'file_relationships', 'file_relationships_file_id_fkey', ARRAY['file_relationships.file_id', 'file_registry.id']),
    ('constraint', 'file_relationships', 'file_relationships_related_file_id_fkey', ARRAY['file_relationships.related_file_id', 'file_registry.id']),
    ('constraint', 'file_sources', 'file_sources_file_id_fkey', ARRAY['file_sources.file_id', 'file_registry.id']),
    ('policy', 'knowledge_base', 'knowledge_base_own_file', ARRAY['file_registry.id', 'file_registry.user_id', 'knowledge_base.file_id']),
    ('policy', 'file_relationships', 'file_relationships_owner', ARRAY['file_registry.id', 'file_registry.user_id']),
    ('policy', 'file_sources', 'file_sources_owner', ARRAY['file_registry.id', 'file_registry.user_id']),
    ('constraint', 'notifications', 'notifications_user_id_fkey', ARRAY['notifications.user_id', 'users.id']),
    ('policy', 'notifications', 'notifications_owner', ARRAY['notifications.user_id']),
    ('constraint', 'backups', 'backups_user_id_fkey', ARRAY['backups.user_id', 'users.id']),
    ('policy', 'backups', 'backups_owner_read', ARRAY['backups.user_id'])
) AS wanted (kind, tab, name, compares)
CROSS JOIN LATERAL (SELECT to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AS id) AS tab
LEFT JOIN LATERAL (
    SELECT con.convalidated AS works FROM pg_catalog.pg_constraint AS con
    WHERE wanted.kind = 'constraint' AND con.conrelid = tab.id AND con.conname = wanted.name
    UNION ALL
    SELECT idx.indisvalid AND idx.indisready FROM pg_catalog.pg_index AS idx
    WHERE wanted.kind = 'index' AND idx.indrelid = tab.id
      AND idx.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    UNION ALL
    SELECT trg.tgenabled IN ('O', 'A') FROM pg_catalog.pg_trigger AS trg
    WHERE wanted.kind = 'trigger' AND trg.tgrelid = tab.id AND trg.tgname = wanted.name
    UNION ALL
    SELECT true FROM pg_catalog.pg_policy AS pol
    WHERE wanted.kind = 'policy' AND pol.polrelid = tab.id AND pol.polname = wanted.name
) AS there ON true
WHERE wanted.compares IS NULL
   OR cardinality(wanted.compares) = (
    SELECT count(*)
    FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid
           FROM pg_catalog.pg_class AS typed
           JOIN pg_catalog.pg_attribute AS col ON col.attrelid = typed.oid AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped
           WHERE typed.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND typed.relkind IN ('r', 'p')) = 'text'::regtype);

-- name: tables_and_views_are_closed
-- Row level security on every table, views by the rights of whoever asks.
SELECT count(*) FILTER (WHERE wanted.closed IS NOT TRUE) = 0 AS passed,
       'every one there, and closed' AS expected,
       coalesce('missing or open: ' || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE wanted.closed IS NOT TRUE), 'every one there, and closed') AS found
FROM (
    SELECT listed.name, CASE rel.relkind WHEN 'v' THEN 'security_invoker=true' = ANY (rel.reloptions) ELSE rel.relrowsecurity END AS closed
    FROM unnest(ARRAY['file_registry', 'file_relationships', 'file_sources', 'knowledge_base', 'notifications', 'backups', 'duplicate_files', 'restore_points']) AS listed (name)
    LEFT JOIN pg_catalog.pg_class AS rel
      ON rel.relnamespace = quote_ident(current_schema())::regnamespace AND rel.relkind IN ('r', 'p', 'v') AND rel.relname = listed.name
) AS wanted;

-- name: ids_have_a_default
SELECT bool_and(col.atthasdef) AS passed,
       'a default for each' AS expected,
       coalesce('none for ' || string_agg(wanted.tab || '.id', ', ' ORDER BY wanted.tab) FILTER (WHERE NOT col.atthasdef), 'a default for each') AS found
FROM unnest(ARRAY['file_registry', 'file_relationships', 'file_sources', 'notifications', 'backups']) AS wanted (tab)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = 'id' AND NOT col.attisdropped;

-- name: checks_admit_what_the_application_sends
SELECT count(*) FILTER (WHERE NOT wanted.words <@ there.words) = 0 AS passed,
       'every word' AS expected,
       coalesce(string_agg(format('%s admits %s', wanted.name, array_to_string(there.words, ', ')), '; ') FILTER (WHERE NOT wanted.words <@ there.words), 'every word') AS found
FROM (VALUES
    ('file_registry', 'file_registry_file_source_check', ARRAY['calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload']),
    ('file_registry', 'file_registry_processing_status_check', ARRAY['pending', 'processing', 'completed', 'failed']),
    ('file_relationships', 'file_relationships_relationship_type_check', ARRAY['duplicate', 'version', 'attachment', 'derived', 'related']),
    ('file_sources', 'file_sources_source_check', ARRAY['calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload']),
    ('notifications', 'notifications_type_check', ARRAY['error', 'info', 'success', 'warning']),
    ('notifications', 'notifications_priority_check', ARRAY['low', 'normal', 'high', 'urgent']),
    ('notifications', 'notifications_status_check', ARRAY['pending', 'delivered', 'dismissed', 'failed']),
    ('backups', 'backups_backup_type_check', ARRAY['automatic', 'manual', 'scheduled']),
    ('backups', 'backups_status_check', ARRAY['completed', 'failed', 'in_progress', 'pending'])
) AS wanted (tab, name, words)
CROSS JOIN LATERAL (
    SELECT ARRAY(SELECT word[1] FROM regexp_matches(pg_get_constraintdef(con.oid), '''([^'']*)''', 'g') AS word) AS words
    FROM pg_catalog.pg_constraint AS con
    JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab AND con.conname = wanted.name
) AS there;

-- name: nothing_stands_there_twice
-- The same constraint, index, trigger or policy under two names; what backs a constraint does not count.
WITH tables AS (
    SELECT tab.oid AS id, tab.relname AS name
    FROM pg_catalog.pg_class AS tab
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname IN ('file_registry', 'file_relationships', 'file_sources', 'knowledge_base', 'notifications', 'backups')
),
present (kind, tab, name, said) AS (
    SELECT 'constraint', con.conrelid, con.conname, CASE con.contype WHEN 'f' THEN row(con.conkey, con.confrelid, con.confkey)::text
                                                                     ELSE pg_get_constraintdef(con.oid) END
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid IN (SELECT id FROM tables)
    UNION ALL
    SELECT 'index', idx.indrelid, ind.relname,
           row(ind.relam, idx.indisunique, idx.indnullsnotdistinct, idx.indnkeyatts, idx.indkey, idx.indclass, idx.indcollation,
               idx.indoption, ind.reloptions, pg_get_expr(idx.indexprs, idx.indrelid), pg_get_expr(idx.indpred, idx.indrelid))::text
    FROM pg_catalog.pg_index AS idx
    JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
    WHERE idx.indrelid IN (SELECT id FROM tables)
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS con WHERE con.conindid = idx.indexrelid)
    UNION ALL
    SELECT 'trigger', trg.tgrelid, trg.tgname, replace(pg_get_triggerdef(trg.oid), format(' TRIGGER %I ', trg.tgname), ' TRIGGER ')
    FROM pg_catalog.pg_trigger AS trg
    WHERE trg.tgrelid IN (SELECT id FROM tables) AND NOT trg.tgisinternal
    UNION ALL
    SELECT 'policy', pol.polrelid, pol.polname,
           row(pol.polcmd, pol.polpermissive, pol.polroles, pg_get_expr(pol.polqual, pol.polrelid), pg_get_expr(pol.polwithcheck, pol.polrelid))::text
    FROM pg_catalog.pg_policy AS pol
    WHERE pol.polrelid IN (SELECT id FROM tables)
)
SELECT count(twins.names) = 0 AS passed, 'each once' AS expected,
       coalesce(string_agg(format('%s %s on %s', twins.kind, twins.names, twins.tab), '; '), 'each once') AS found
FROM (
    SELECT present.kind, tables.name AS tab, string_agg(present.name, ' and ' ORDER BY present.name) AS names
    FROM present
    JOIN tables ON tables.id = present.tab
    GROUP BY present.kind, tables.name, present.said
    HAVING count(*) > 1 AND bool_or((present.kind, tables.name::text, present.name::text) IN (
        ('constraint', 'file_registry', 'file_registry_pkey'),
        ('constraint', 'file_registry', 'file_registry_file_source_check'),
        ('constraint', 'file_registry', 'file_registry_processing_status_check'),
        ('constraint', 'file_registry', 'file_registry_file_size_check'),
        ('constraint', 'file_registry', 'file_registry_version_check'),
        ('constraint', 'file_registry', 'file_registry_previous_version_id_check'),
        ('index', 'file_registry', 'idx_file_registry_user_id'),
        ('index', 'file_registry', 'idx_file_registry_indexed_at'),
        ('index', 'file_registry', 'idx_file_registry_source'),
        ('index', 'file_registry', 'idx_file_registry_file_id'),
        ('index', 'file_registry', 'idx_file_registry_previous_version_id'),
        ('index', 'file_registry', 'idx_file_registry_content_hash'),
        ('index', 'file_registry', 'idx_file_registry_mime_type'),
        ('index', 'file_registry', 'idx_file_registry_filename'),
        ('index', 'file_registry', 'idx_file_registry_tags'),
        ('index', 'file_registry', 'idx_file_registry_projects'),
        ('index', 'file_registry', 'idx_file_registry_metadata'),
        ('index', 'file_registry', 'idx_file_registry_source_metadata'),
        ('index', 'file_registry', 'idx_file_registry_unprocessed'),
        ('trigger', 'file_registry', 'file_registry_track_processing'),
        ('trigger', 'file_registry', 'file_registry_next_version'),
        ('trigger', 'file_registry', 'file_registry_set_updated_at'),
        ('constraint', 'file_relationships', 'file_relationships_pkey'),
        ('constraint', 'file_relationships', 'file_relationships_pair_key'),
        ('constraint', 'file_relationships', 'file_relationships_relationship_type_check'),
        ('constraint', 'file_relationships', 'file_relationships_confidence_check'),
        ('constraint', 'file_relationships', 'file_relationships_related_file_id_check'),
        ('constraint', 'file_sources', 'file_sources_pkey'),
        ('constraint', 'file_sources', 'file_sources_file_id_source_source_id_key'),
        ('constraint', 'file_sources', 'file_sources_source_check'),
        ('constraint', 'file_sources', 'file_sources_last_seen_at_check'),
        ('index', 'knowledge_base', 'idx_knowledge_base_file_id'),
        ('index', 'file_relationships', 'idx_file_relationships_related_file_id'),
        ('index', 'file_relationships', 'idx_file_relationships_type'),
        ('index', 'file_sources', 'idx_file_sources_source'),
        ('trigger', 'file_registry', 'file_registry_track_source'),
        ('constraint', 'notifications', 'notifications_pkey'),
        ('constraint', 'notifications', 'notifications_type_check'),
        ('constraint', 'notifications', 'notifications_priority_check'),
        ('constraint', 'notifications', 'notifications_status_check'),
        ('constraint', 'notifications', 'notifications_email_attempts_check'),
        ('index', 'notifications', 'idx_notifications_user_id'),
        ('index', 'notifications', 'idx_notifications_unread'),
        ('index', 'notifications', 'idx_notifications_email_pending'),
        ('index', 'notifications', 'idx_notifications_expires_at'),
        ('trigger', 'notifications', 'notifications_track_reading'),
        ('trigger', 'notifications', 'notifications_set_updated_at'), ('constraint', 'backups', 'backups_pkey'),
        ('constraint', 'backups', 'backups_backup_type_check'), ('constraint', 'backups', 'backups_status_check'),
        ('constraint', 'backups', 'backups_backup_size_bytes_check'),
        ('constraint', 'backups', 'backups_total_size_check'), ('constraint', 'backups', 'backups_file_count_check'),
        ('constraint', 'backups', 'backups_completed_at_check'), ('index', 'backups', 'idx_backups_user_id'),
        ('index', 'backups', 'idx_backups_created_at'), ('index', 'backups', 'idx_backups_drive_file_id'),
        ('index', 'backups', 'idx_backups_restore_points'), ('index', 'backups', 'idx_backups_expires_at'),
        ('trigger', 'backups', 'backups_set_updated_at'),
        ('constraint', 'file_registry', 'file_registry_user_id_fkey'),
        ('constraint', 'file_registry', 'file_registry_file_id_fkey'),
        ('constraint', 'file_registry', 'file_registry_previous_version_id_fkey'),
        ('policy', 'file_registry', 'file_registry_owner'),
        ('constraint', 'knowledge_base', 'knowledge_base_file_id_fkey'),
        ('constraint', 'file_relationships', 'file_relationships_file_id_fkey'),
        ('constraint', 'file_relationships', 'file_relationships_related_file_id_fkey'),
        ('constraint', 'file_sources', 'file_sources_file_id_fkey'),
        ('policy', 'knowledge_base', 'knowledge_base_own_file'),
        ('policy', 'file_relationships', 'file_relationships_owner'),
        ('policy', 'file_sources', 'file_sources_owner'),
        ('constraint', 'notifications', 'notifications_user_id_fkey'),
        ('policy', 'notifications', 'notifications_owner'), ('constraint', 'backups', 'backups_user_id_fkey'),
        ('policy', 'backups', 'backups_owner_read')))
) AS twins;

-- name: no_index_is_invalid
SELECT count(*) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)) = 0 AS passed,
       'every index, valid' AS expected,
       coalesce('invalid: ' || string_agg(ind.relname, ', ' ORDER BY ind.relname) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)),
                'every index, valid') AS found
FROM pg_catalog.pg_index AS idx
JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
JOIN pg_catalog.pg_class AS tab ON tab.oid = idx.indrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p')
  AND tab.relname IN ('file_registry', 'file_relationships', 'file_sources', 'knowledge_base', 'notifications',
                      'backups');
