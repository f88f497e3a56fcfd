-- name: documented_query runs
SELECT table_name, column_name, data_type
FROM information_schema.columns
WHERE column_name = 'project_id' AND table_schema = current_schema()
ORDER BY table_name;

-- name: ids_are_text
-- Columns of migrations that this one does not need count only where they are there.
SELECT count(*) FILTER (WHERE there.type IS DISTINCT FROM 'text' AND (wanted.needed OR there.type IS NOT NULL)) = 0 AS passed,
       'text, each of them' AS expected,
       coalesce(string_agg(wanted.col || ' ' || coalesce(there.type, 'missing'), ', ' ORDER BY wanted.col)
                    FILTER (WHERE there.type IS DISTINCT FROM 'text' AND (wanted.needed OR there.type IS NOT NULL)),
                'text, each of them') AS found
FROM (VALUES
    ('users.id', true), ('projects.owner_id', true), ('projects.user_id', true), ('projects.category_id', false),
    ('projects.id', true), ('projects.parent_project_id', true), ('conversations.id', true),
    ('conversations.user_id', true), ('conversations.pinned_by', false), ('conversations.category_id', false),
    ('conversations.project_id', true), ('messages.id', true), ('messages.conversation_id', true),
    ('messages.user_id', true), ('messages.project_id', true), ('knowledge_base.user_id', true),
    ('knowledge_base.category_id', false), ('knowledge_base.project_id', true), ('files.id', true),
    ('files.user_id', true), ('files.category_id', false), ('files.project_id', true),
    ('audio_transcriptions.user_id', true), ('audio_transcriptions.category_id', true),
    ('audio_transcriptions.project_id', true), ('processed_images.user_id', true),
    ('processed_images.project_id', true), ('processed_documents.user_id', true),
    ('processed_documents.project_id', true), ('activity_logs.user_id', true), ('user_tokens.user_id', false),
    ('categories.id', false), ('categories.user_id', false), ('categories.parent_id', false),
    ('semantic_search_metadata.user_id', false), ('semantic_search_log.user_id', false),
    ('file_registry.user_id', false), ('file_registry.file_id', false), ('notifications.user_id', false),
    ('backups.id', false), ('backups.user_id', false), ('api_cost_tracking.user_id', false),
    ('budget_config.user_id', false), ('budget_alerts.user_id', false), ('budget_alerts.acknowledged_by', false),
    ('model_performance_metrics.user_id', false), ('model_performance_metrics.conversation_id', false),
    ('zapier_webhook_logs.user_id', false), ('drive_edit_requests.user_id', false),
    ('drive_edit_requests.conversation_id', false), ('drive_edit_requests.requested_by', false),
    ('drive_edit_requests.decided_by', false), ('drive_edit_audit_log.user_id', false),
    ('indexing_state.user_id', false), ('devices.user_id', false), ('device_sync_queue.user_id', false),
    ('device_context.project_id', false), ('device_context.user_id', false),
    ('device_context.conversation_id', false), ('device_context_conflicts.user_id', false),
    ('agent_tasks.user_id', false), ('agent_findings.user_id', false), ('workflows.user_id', false),
    ('workflow_executions.user_id', false), ('chatgpt_imports.user_id', false),
    ('chatgpt_conversations.user_id', false), ('chatgpt_conversations.kimbleai_conversation_id', false),
    ('chatgpt_messages.user_id', false), ('api_logs.user_id', false)
) AS wanted (col, needed)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) AS type
    FROM pg_catalog.pg_class AS tab
    JOIN pg_catalog.pg_attribute AS col
      ON col.attrelid = tab.oid AND col.attname = split_part(wanted.col, '.', 2) AND col.attnum > 0 AND NOT col.attisdropped
    WHERE tab.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(wanted.col, '.', 1)) AND tab.relkind IN ('r', 'p')
    LIMIT 1
) AS there ON true;

-- name: checks_that_may_have_waited_are_there
SELECT count(*) FILTER (WHERE there.convalidated IS NOT TRUE) = 0 AS passed,
       'every check, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE there.convalidated IS NOT TRUE),
                'every check, validated') AS found
FROM (VALUES
    ('projects', 'projects_parent_project_id_check'),
    ('categories', 'categories_parent_id_check')
) AS wanted (tab, name)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_constraint AS there ON there.conrelid = tab.oid AND there.contype = 'c' AND there.conname = wanted.name;

-- name: keys_are_there_and_validated
-- Each between columns that are there: what a migration that was not applied would add is not asked for.
SELECT count(*) FILTER (WHERE there.convalidated IS NOT TRUE) = 0 AS passed,
       'every key, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE there.convalidated IS NOT TRUE),
                'every key, validated') AS found
FROM (VALUES
    ('projects', 'projects_owner_id_fkey', 'owner_id', 'users'),
    ('projects', 'projects_parent_project_id_fkey', 'parent_project_id', 'projects'),
    ('conversations', 'conversations_user_id_fkey', 'user_id', 'users'),
    ('messages', 'messages_conversation_id_fkey', 'conversation_id', 'conversations'),
    ('messages', 'messages_user_id_fkey', 'user_id', 'users'),
    ('messages', 'messages_project_id_fkey', 'project_id', 'projects'),
    ('knowledge_base', 'knowledge_base_user_id_fkey', 'user_id', 'users'),
    ('knowledge_base', 'knowledge_base_project_id_fkey', 'project_id', 'projects'),
    ('files', 'files_user_id_fkey', 'user_id', 'users'),
    ('files', 'files_project_id_fkey', 'project_id', 'projects'),
    ('audio_transcriptions', 'audio_transcriptions_user_id_fkey', 'user_id', 'users'),
    ('processed_images', 'processed_images_user_id_fkey', 'user_id', 'users'),
    ('processed_images', 'processed_images_project_id_fkey', 'project_id', 'projects'),
    ('processed_documents', 'processed_documents_user_id_fkey', 'user_id', 'users'),
    ('processed_documents', 'processed_documents_project_id_fkey', 'project_id', 'projects'),
    ('activity_logs', 'activity_logs_user_id_fkey', 'user_id', 'users'),
    ('user_tokens', 'user_tokens_user_id_fkey', 'user_id', 'users'),
    ('categories', 'categories_user_id_fkey', 'user_id', 'users'),
    ('categories', 'categories_parent_id_fkey', 'parent_id', 'categories'),
    ('projects', 'projects_category_id_fkey', 'category_id', 'categories'),
    ('conversations', 'conversations_category_id_fkey', 'category_id', 'categories'),
    ('knowledge_base', 'knowledge_base_category_id_fkey', 'category_id', 'categories'),
    ('files', 'files_category_id_fkey', 'category_id', 'categories'),
    ('audio_transcriptions', 'audio_transcriptions_project_id_fkey', 'project_id', 'projects'),
    ('conversations', 'conversations_project_id_fkey', 'project_id', 'projects'),
    ('conversations', 'conversations_pinned_by_fkey', 'pinned_by', 'users')
) AS wanted (child, name, child_column, parent)
CROSS JOIN LATERAL (SELECT to_regclass(quote_ident(current_schema()) || '.' || wanted.parent) AS id) AS parent
JOIN LATERAL (
    SELECT child.attrelid, child.attnum FROM pg_catalog.pg_attribute AS child
    WHERE child.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.child)
      AND child.attname = wanted.child_column AND NOT child.attisdropped
    LIMIT 1
) AS col ON parent.id IS NOT NULL
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = col.attrelid AND con.contype = 'f' AND con.conname = wanted.name
      AND con.confrelid = parent.id AND con.conkey = ARRAY[col.attnum]
    LIMIT 1
) AS there ON true;

-- name: every_key_to_them_is_text
-- Whoever refers to them, tables of somebody's own included.
SELECT count(*) FILTER (WHERE NOT there.fits) = 0 AS passed,
       'text at both ends' AS expected,
       coalesce(string_agg(there.name, ', ' ORDER BY there.name) FILTER (WHERE NOT there.fits), 'text at both ends') AS found
FROM (
    SELECT format('%s on %s', con.conname, con.conrelid::regclass) AS name,
           parent.atttypid = 'text'::regtype
               AND (SELECT child.atttypid FROM pg_catalog.pg_attribute AS child
                    WHERE child.attrelid = con.conrelid AND child.attnum = pair.child_column) = 'text'::regtype AS fits
    FROM unnest(ARRAY['users.id', 'projects.id', 'conversations.id', 'messages.id', 'files.id', 'categories.id']) AS wanted (name)
    JOIN LATERAL (
        SELECT col.attrelid, col.attnum, col.atttypid FROM pg_catalog.pg_attribute AS col
        WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(wanted.name, '.', 1))
          AND col.attname = split_part(wanted.name, '.', 2)
        LIMIT 1
    ) AS parent ON true
    JOIN pg_catalog.pg_constraint AS con ON con.contype = 'f' AND con.confrelid = parent.attrelid
    CROSS JOIN unnest(con.conkey, con.confkey) AS pair (child_column, parent_column)
    WHERE pair.parent_column = parent.attnum
) AS there;

-- name: no_index_is_invalid
SELECT count(*) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)) = 0 AS passed,
       'every index, valid' AS expected,
       coalesce('invalid: ' || string_agg(ind.relname, ', ' ORDER BY ind.relname) FILTER (WHERE NOT (idx.indisvalid AND idx.indisready)),
                'every index, valid') AS found
FROM pg_catalog.pg_index AS idx
JOIN pg_catalog.pg_class AS ind ON ind.oid = idx.indexrelid
JOIN pg_catalog.pg_class AS tab ON tab.oid = idx.indrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p')
  AND tab.relname IN ('users', 'projects', 'conversations', 'messages', 'knowledge_base', 'files',
                      'audio_transcriptions', 'processed_images', 'processed_documents', 'activity_logs',
                      'user_tokens', 'categories', 'semantic_search_metadata', 'semantic_search_log',
                      'file_registry', 'notifications', 'backups', 'api_cost_tracking', 'budget_config',
                      'budget_alerts', 'model_performance_metrics', 'zapier_webhook_logs', 'drive_edit_requests',
                      'drive_edit_audit_log', 'indexing_state', 'devices', 'device_sync_queue', 'device_context',
                      'device_context_conflicts', 'agent_tasks', 'agent_findings', 'workflows',
                      'workflow_executions', 'chatgpt_imports', 'chatgpt_conversations', 'chatgpt_messages',
                      'api_logs');

-- name: policies_that_may_have_waited_are_there
-- On each of these tables that is there, with its row level security on; but not
-- where a column that the policy compares is not text, or not there: it still waits.
SELECT count(*) FILTER (WHERE pol.oid IS NULL OR NOT tab.relrowsecurity) = 0 AS passed,
       'every policy' AS expected,
       coalesce('missing: ' || string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name)
                    FILTER (WHERE pol.oid IS NULL OR NOT tab.relrowsecurity), 'every policy') AS found
FROM (VALUES
    ('users', 'users_owner_read', ARRAY['users.id']),
    ('users', 'users_owner_update', ARRAY['users.id']),
    ('projects', 'projects_owner', ARRAY['projects.owner_id']),
    ('conversations', 'conversations_owner', ARRAY['conversations.user_id']),
    ('messages', 'messages_owner', ARRAY['messages.conversation_id', 'messages.user_id', 'messages.project_id', 'conversations.id', 'conversations.user_id', 'projects.id', 'projects.owner_id']),
    ('knowledge_base', 'knowledge_base_owner', ARRAY['knowledge_base.user_id', 'knowledge_base.project_id', 'projects.id', 'projects.owner_id']),
    ('files', 'files_owner', ARRAY['files.user_id', 'files.project_id', 'projects.id', 'projects.owner_id']),
    ('audio_transcriptions', 'audio_transcriptions_owner', ARRAY['audio_transcriptions.user_id']),
    ('processed_images', 'processed_images_owner', ARRAY['processed_images.user_id', 'processed_images.project_id', 'projects.id', 'projects.owner_id']),
    ('processed_documents', 'processed_documents_owner', ARRAY['processed_documents.user_id', 'processed_documents.project_id', 'projects.id', 'projects.owner_id']),
    ('activity_logs', 'activity_logs_owner_read', ARRAY['activity_logs.user_id']),
    ('user_tokens', 'user_tokens_owner', ARRAY['user_tokens.user_id']),
    ('categories', 'categories_owner', ARRAY['categories.user_id']),
    ('projects', 'projects_own_category', ARRAY['projects.category_id', 'categories.id', 'categories.user_id']),
    ('conversations', 'conversations_own_category', ARRAY['conversations.category_id', 'categories.id', 'categories.user_id']),
    ('knowledge_base', 'knowledge_base_own_category', ARRAY['knowledge_base.category_id', 'categories.id', 'categories.user_id']),
    ('files', 'files_own_category', ARRAY['files.category_id', 'categories.id', 'categories.user_id']),
    ('audio_transcriptions', 'audio_transcriptions_own_project', ARRAY['audio_transcriptions.project_id', 'projects.id', 'projects.owner_id']),
    ('conversations', 'conversations_own_project', ARRAY['conversations.project_id', 'projects.id', 'projects.owner_id'])
) AS wanted (tab, name, compares)
JOIN pg_catalog.pg_class AS tab
  ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind IN ('r', 'p') AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_policy AS pol ON pol.polrelid = tab.oid AND pol.polname = wanted.name
WHERE cardinality(wanted.compares) = (
    SELECT count(*)
    FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid
           FROM pg_catalog.pg_class AS typed
           JOIN pg_catalog.pg_attribute AS col ON col.attrelid = typed.oid AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped
           WHERE typed.oid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND typed.relkind IN ('r', 'p')) = 'text'::regtype);

-- name: triggers_that_may_have_waited_are_enabled
SELECT count(*) FILTER (WHERE trg.tgenabled IN ('O', 'A')) = count(*) AS passed,
       string_agg(wanted.name, ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE trg.tgenabled IN ('O', 'A')), 'none') AS found
FROM (VALUES
    ('projects', 'projects_sync_owner_id'),
    ('audio_transcriptions', 'audio_transcriptions_general_project')
) AS wanted (tab, name)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_trigger AS trg ON trg.tgrelid = tab.oid AND trg.tgname = wanted.name;

-- name: ids_have_a_default
SELECT bool_and(col.atthasdef) AS passed,
       'a default for each' AS expected,
       coalesce('none for ' || string_agg(wanted.tab || '.id', ', ' ORDER BY wanted.tab) FILTER (WHERE NOT col.atthasdef), 'a default for each') AS found
FROM unnest(ARRAY['users', 'projects', 'conversations', 'messages', 'files', 'knowledge_base']) AS wanted (tab)
JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
JOIN pg_catalog.pg_attribute AS col ON col.attrelid = tab.oid AND col.attname = 'id' AND NOT col.attisdropped;
