-- name: documented_query runs
SELECT table_name FROM information_schema.tables
WHERE table_schema = current_schema()
ORDER BY table_name;

-- name: tables_and_columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed,
       'every column' AS expected,
       coalesce('missing: ' || string_agg(wanted.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES
    ('users', '{id,name,email,role,avatar_url,preferences,permissions,metadata,created_at,updated_at}'),
    ('projects', '{id,name,description,status,priority,owner_id,user_id,collaborators,parent_project_id,tags,metadata,stats,color,archived,auto_created,created_at,updated_at}'),
    ('conversations', '{id,user_id,title,summary,status,tags,participant_count,message_count,messages,metadata,auto_organized,organization_confidence,last_message_at,created_at,updated_at}'),
    ('messages', '{id,conversation_id,user_id,project_id,role,content,embedding,metadata,tokens_used,processing_time_ms,timestamp,created_at}'),
    ('knowledge_base', '{id,user_id,project_id,source_type,source_id,category,title,content,embedding,importance,confidence,tags,metadata,is_active,access_count,last_accessed,created_at,updated_at}'),
    ('files', '{id,user_id,project_id,filename,original_filename,file_type,mime_type,size_bytes,storage_path,status,metadata,processed_content,tags,created_at,updated_at}'),
    ('audio_transcriptions', '{id,user_id,file_id,filename,file_size,duration,text,content,segments,words,utterances,chapters,language,storage_url,metadata,is_active,detected_at,created_at,updated_at}'),
    ('processed_images', '{id,user_id,project_id,file_id,filename,file_size,storage_url,thumbnail_url,width,height,format,analysis,metadata,created_at}'),
    ('processed_documents', '{id,user_id,project_id,file_id,filename,file_size,storage_url,thumbnail_url,document_type,content,page_count,metadata,created_at}'),
    ('activity_logs', '{id,user_id,action_type,resource_type,resource_id,resource_name,metadata,ip_address,user_agent,created_at}'),
    ('auth_logs', '{id,email,event_type,ip_address,user_agent,success,metadata,created_at}')
) AS listed (tab, cols)
CROSS JOIN LATERAL unnest(listed.cols::text[]) AS each (col)
CROSS JOIN LATERAL (SELECT listed.tab, each.col) AS wanted
LEFT JOIN LATERAL (
    SELECT col.attname FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col AND NOT col.attisdropped
    LIMIT 1
) AS a ON true;

-- name: extensions
SELECT count(e.oid) = 3 AS passed, 'pg_trgm, uuid-ossp, vector' AS expected,
       coalesce(string_agg(e.extname, ', ' ORDER BY e.extname), 'none') AS found
FROM unnest(ARRAY['vector', 'pg_trgm', 'uuid-ossp']) AS wanted (name)
JOIN pg_catalog.pg_extension AS e ON e.extname = wanted.name;

-- name: uuid_ossp_answers
SELECT uuid_generate_v4() IS NOT NULL AS passed;

-- name: vectors_are_searched_by_an_index
SELECT count(i.indexrelid) = 2 AS passed, 'a valid HNSW index for messages and knowledge_base' AS expected,
       coalesce(string_agg(c.relname, ', ' ORDER BY c.relname), 'none') AS found
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid AND i.indisvalid AND i.indisready
JOIN pg_catalog.pg_am AS am ON am.oid = c.relam AND am.amname = 'hnsw'
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace
  AND c.relname IN ('idx_messages_embedding', 'idx_knowledge_base_embedding');

-- name: indexes
SELECT bool_and(i.indisvalid) AND count(*) FILTER (WHERE i.indexrelid IS NULL) = 0 AS passed,
       'every index, valid' AS expected,
       coalesce('missing or invalid: ' || string_agg(wanted.name, ', ') FILTER (WHERE i.indisvalid IS NOT TRUE), 'every index, valid') AS found
FROM unnest(ARRAY[
    'idx_users_email', 'idx_projects_owner_id', 'idx_projects_parent_project_id', 'idx_conversations_user_id_updated_at',
    'idx_messages_conversation_id', 'idx_messages_user_id', 'idx_messages_project_id', 'idx_messages_content',
    'idx_knowledge_base_user_id', 'idx_knowledge_base_project_id', 'idx_knowledge_base_text', 'idx_knowledge_base_metadata',
    'idx_files_user_id', 'idx_files_project_id', 'idx_audio_transcriptions_user_id', 'idx_processed_images_user_id',
    'idx_processed_images_project_id', 'idx_processed_documents_user_id', 'idx_processed_documents_project_id',
    'idx_activity_logs_user_id', 'idx_auth_logs_email']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: foreign_keys_are_validated
-- Between columns of two types (a database from before) a key waits for the repairs.
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed,
       'every key between columns of one type, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'every key') AS found
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
    ('activity_logs', 'activity_logs_user_id_fkey', 'user_id', 'users')
) AS wanted (tab, name, col, parent)
JOIN LATERAL (
    SELECT col.attrelid, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
    LIMIT 1
) AS a ON true
JOIN LATERAL (
    SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.parent) AND col.attname = 'id'
    LIMIT 1
) AS b ON b.atttypid = a.atttypid
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = a.attrelid AND con.conname = wanted.name AND con.contype = 'f'
    LIMIT 1
) AS k ON true;

-- name: row_level_security
SELECT bool_and(c.relrowsecurity) AND count(*) = 11 AS passed, 'on for 11 tables' AS expected,
       coalesce('off for ' || string_agg(c.relname, ', ') FILTER (WHERE NOT c.relrowsecurity), 'on for ' || count(*) || ' tables') AS found
FROM pg_catalog.pg_class AS c
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relkind = 'r'
  AND c.relname IN ('users', 'projects', 'conversations', 'messages', 'knowledge_base', 'files', 'audio_transcriptions',
                    'processed_images', 'processed_documents', 'activity_logs', 'auth_logs');

-- name: policies
-- Where users.id is text; on a database from before they wait for the repairs.
SELECT count(p.polname) = count(*) OR EXISTS (
           SELECT FROM unnest(ARRAY['users.id', 'projects.id', 'conversations.id', 'projects.owner_id', 'conversations.user_id',
                                    'messages.user_id', 'messages.conversation_id']) AS compared (name)
           WHERE (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
                  WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
                    AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped) = 'uuid'::regtype) AS passed,
       'every policy' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.polname IS NULL), 'every policy') AS found
FROM unnest(ARRAY['users_owner_read', 'users_owner_update', 'projects_owner', 'conversations_owner', 'messages_owner',
                  'knowledge_base_owner', 'files_owner', 'audio_transcriptions_owner', 'processed_images_owner',
                  'processed_documents_owner', 'activity_logs_owner_read']) AS wanted (name)
LEFT JOIN pg_catalog.pg_policy AS p
    ON p.polname = wanted.name
       AND (SELECT tab.relnamespace FROM pg_catalog.pg_class AS tab WHERE tab.oid = p.polrelid) = quote_ident(current_schema())::regnamespace;

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['users_set_updated_at', 'projects_set_updated_at', 'projects_sync_owner_id', 'conversations_set_updated_at',
                  'knowledge_base_set_updated_at', 'files_set_updated_at', 'audio_transcriptions_set_updated_at',
                  'processed_images_general_project', 'processed_documents_general_project']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace
-- Where the two names of an owner differ in type, on a database from before, theirs waits for the repairs.
WHERE wanted.name <> 'projects_sync_owner_id' OR (
    SELECT count(DISTINCT col.atttypid) = 1
    FROM pg_catalog.pg_attribute AS col
    JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
    WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'projects' AND NOT col.attisdropped
      AND col.attname IN ('owner_id', 'user_id'));

-- name: nobody_is_nobody
-- Without a claim and without the setting, nobody asks.
SELECT requesting_user_id() IS NOT DISTINCT FROM coalesce(
           nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''),
           nullif(current_setting('kimbledb.user_id', true), '')) AS passed;

-- name: anonymous_callers_get_nothing
SELECT count(*) = 0 AS passed, 'no privilege' AS expected,
       coalesce(string_agg(DISTINCT c.relname, ', '), 'no privilege') AS found
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL aclexplode(c.relacl) AS acl
LEFT JOIN pg_catalog.pg_roles AS r ON r.oid = acl.grantee
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND (acl.grantee = 0 OR r.rolname = 'anon')
  AND c.relname IN ('users', 'projects', 'conversations', 'messages', 'knowledge_base', 'files', 'audio_transcriptions',
                    'processed_images', 'processed_documents', 'activity_logs', 'auth_logs');
