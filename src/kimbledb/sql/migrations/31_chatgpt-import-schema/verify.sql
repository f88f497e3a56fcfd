-- name: columns_have_their_types
-- NOT NULL is asked for where a default fills in rows from before.
SELECT count(*) FILTER (WHERE there.type IS DISTINCT FROM wanted.type
                              AND there.type IS DISTINCT FROM wanted.type || ' not null') = 0 AS passed,
       coalesce(string_agg(format('%s.%s %s', wanted.tab, wanted.col, wanted.type), ', ' ORDER BY wanted.tab, wanted.col)
                    FILTER (WHERE there.type IS DISTINCT FROM wanted.type
                                  AND there.type IS DISTINCT FROM wanted.type || ' not null'),
                format('%s columns', count(*))) AS expected,
       coalesce(string_agg(format('%s.%s %s', wanted.tab, wanted.col, coalesce(there.type, 'missing')), ', ' ORDER BY wanted.tab, wanted.col)
                    FILTER (WHERE there.type IS DISTINCT FROM wanted.type
                                  AND there.type IS DISTINCT FROM wanted.type || ' not null'),
                format('%s columns', count(*))) AS found
FROM (VALUES
    ('chatgpt_imports', 'id', 'uuid not null'),
    ('chatgpt_imports', 'user_id', 'text'),
    ('chatgpt_imports', 'filename', 'text'),
    ('chatgpt_imports', 'file_size', 'bigint'),
    ('chatgpt_imports', 'drive_file_id', 'text'),
    ('chatgpt_imports', 'status', 'text not null'),
    ('chatgpt_imports', 'conversation_count', 'integer not null'),
    ('chatgpt_imports', 'message_count', 'integer not null'),
    ('chatgpt_imports', 'skipped_count', 'integer not null'),
    ('chatgpt_imports', 'error_message', 'text'),
    ('chatgpt_imports', 'started_at', 'timestamp with time zone'),
    ('chatgpt_imports', 'completed_at', 'timestamp with time zone'),
    ('chatgpt_imports', 'metadata', 'jsonb not null'),
    ('chatgpt_imports', 'created_at', 'timestamp with time zone not null'),
    ('chatgpt_imports', 'updated_at', 'timestamp with time zone not null'),
    ('chatgpt_conversations', 'id', 'text not null'),
    ('chatgpt_conversations', 'user_id', 'text'),
    ('chatgpt_conversations', 'import_id', 'uuid'),
    ('chatgpt_conversations', 'kimbleai_conversation_id', 'text'),
    ('chatgpt_conversations', 'title', 'text'),
    ('chatgpt_conversations', 'create_time', 'bigint'),
    ('chatgpt_conversations', 'update_time', 'bigint'),
    ('chatgpt_conversations', 'message_count', 'integer'),
    ('chatgpt_conversations', 'full_text', 'text'),
    ('chatgpt_conversations', 'embedding', 'vector(1536)'),
    ('chatgpt_conversations', 'drive_file_id', 'text'),
    ('chatgpt_conversations', 'import_date', 'timestamp with time zone not null'),
    ('chatgpt_conversations', 'metadata', 'jsonb'),
    ('chatgpt_conversations', 'created_at', 'timestamp with time zone not null'),
    ('chatgpt_conversations', 'updated_at', 'timestamp with time zone not null'),
    ('chatgpt_messages', 'id', 'text not null'),
    ('chatgpt_messages', 'conversation_id', 'text'),
    ('chatgpt_messages', 'user_id', 'text'),
    ('chatgpt_messages', 'role', 'text'),
    ('chatgpt_messages', 'content', 'text'),
    ('chatgpt_messages', 'create_time', 'bigint'),
    ('chatgpt_messages', 'parent_id', 'text'),
    ('chatgpt_messages', 'position', 'integer'),
    ('chatgpt_messages', 'embedding', 'vector(1536)'),
    ('chatgpt_messages', 'metadata', 'jsonb'),
    ('chatgpt_messages', 'created_at', 'timestamp with time zone not null')
) AS wanted (tab, col, type)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) || CASE WHEN col.attnotnull THEN ' not null' ELSE '' END AS type
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
      AND col.attnum > 0 AND NOT col.attisdropped
    LIMIT 1
) AS there ON true;

-- name: constraints_are_validated
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s constraints', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'not validated' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s constraints', count(*))) AS found
FROM (VALUES
    ('chatgpt_imports', 'chatgpt_imports_pkey'),
    ('chatgpt_imports', 'chatgpt_imports_status_check'),
    ('chatgpt_imports', 'chatgpt_imports_file_size_check'),
    ('chatgpt_imports', 'chatgpt_imports_conversation_count_check'),
    ('chatgpt_imports', 'chatgpt_imports_message_count_check'),
    ('chatgpt_imports', 'chatgpt_imports_skipped_count_check'),
    ('chatgpt_conversations', 'chatgpt_conversations_pkey'),
    ('chatgpt_conversations', 'chatgpt_conversations_message_count_check'),
    ('chatgpt_messages', 'chatgpt_messages_pkey'),
    ('chatgpt_messages', 'chatgpt_messages_position_check')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT con.conname AS name, con.convalidated AS right
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name
    LIMIT 1
) AS there ON true;

-- name: foreign_keys_are_validated
-- Between columns of two types (a database from before) a key waits for the repairs.
SELECT count(*) FILTER (WHERE key.oid IS NULL AND child.atttypid = parent.atttypid) = 0
           AND count(child.attnum) = count(*) AND count(parent.attnum) = count(*) AS passed,
       format('%s keys', count(*)) AS expected,
       coalesce('missing, not validated or with another ON DELETE: '
                    || string_agg(wanted.name, ', ' ORDER BY wanted.name) FILTER (WHERE key.oid IS NULL),
                format('%s keys', count(*))) AS found
FROM (VALUES
    ('chatgpt_imports', 'chatgpt_imports_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('chatgpt_conversations', 'chatgpt_conversations_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('chatgpt_conversations', 'chatgpt_conversations_import_id_fkey', 'import_id', 'chatgpt_imports', 'id', 'n'),
    ('chatgpt_conversations', 'chatgpt_conversations_kimbleai_conversation_id_fkey', 'kimbleai_conversation_id', 'conversations', 'id', 'n'),
    ('chatgpt_messages', 'chatgpt_messages_conversation_id_fkey', 'conversation_id', 'chatgpt_conversations', 'id', 'c'),
    ('chatgpt_messages', 'chatgpt_messages_user_id_fkey', 'user_id', 'users', 'id', 'c')
) AS wanted (tab, name, col, parent_tab, parent_col, on_delete)
LEFT JOIN LATERAL (
    SELECT col.attnum, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
    LIMIT 1
) AS child ON true
LEFT JOIN LATERAL (
    SELECT col.attnum, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.parent_tab) AND col.attname = wanted.parent_col
    LIMIT 1
) AS parent ON true
LEFT JOIN LATERAL (
    SELECT con.oid FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name AND con.contype = 'f'
      AND con.convalidated AND con.confdeltype::text = wanted.on_delete
      AND con.confrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.parent_tab)
    LIMIT 1
) AS key ON true;

-- name: indexes_are_valid
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s indexes', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s indexes', count(*))) AS found
FROM (VALUES
    ('chatgpt_imports', 'idx_chatgpt_imports_user_id_created_at'),
    ('chatgpt_conversations', 'idx_chatgpt_conversations_user_id_create_time'),
    ('chatgpt_conversations', 'idx_chatgpt_conversations_import_id'),
    ('chatgpt_conversations', 'idx_chatgpt_conversations_kimbleai_conversation_id'),
    ('chatgpt_messages', 'idx_chatgpt_messages_conversation_id_position'),
    ('chatgpt_messages', 'idx_chatgpt_messages_user_id'),
    ('chatgpt_conversations', 'idx_chatgpt_conversations_text'),
    ('chatgpt_messages', 'idx_chatgpt_messages_text'),
    ('chatgpt_conversations', 'idx_chatgpt_conversations_embedding'),
    ('chatgpt_messages', 'idx_chatgpt_messages_embedding')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS right
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: rows_are_reached_by_their_owners_only
-- Where a compared column is not text yet, a policy waits and its table is closed.
SELECT bool_and(tab.relrowsecurity IS TRUE AND (waits.col IS NOT NULL OR (pol.polqual IS NOT NULL AND (pol.polcmd = 'r' OR pol.polwithcheck IS NOT NULL)))) AS passed,
       string_agg(wanted.name, ', ' ORDER BY wanted.name) AS expected,
       string_agg(CASE WHEN tab.relrowsecurity IS NOT TRUE THEN wanted.tab || ': row level security is off'
                       WHEN pol.oid IS NOT NULL THEN wanted.name
                       ELSE coalesce(wanted.name || ': waits for ' || waits.col, wanted.name || ': missing') END, ', ' ORDER BY wanted.name) AS found
FROM (VALUES
    ('chatgpt_imports', 'chatgpt_imports_owner', '*', '{chatgpt_imports.user_id}'::text[]),
    ('chatgpt_conversations', 'chatgpt_conversations_owner', '*', '{chatgpt_conversations.user_id,chatgpt_conversations.kimbleai_conversation_id,chatgpt_imports.user_id,conversations.id,conversations.user_id}'),
    ('chatgpt_messages', 'chatgpt_messages_owner', '*', '{chatgpt_messages.conversation_id,chatgpt_messages.user_id,chatgpt_conversations.id,chatgpt_conversations.user_id}')
) AS wanted (tab, name, command, compares)
LEFT JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.tab
LEFT JOIN pg_catalog.pg_policy AS pol ON pol.polrelid = tab.oid AND pol.polname = wanted.name AND pol.polcmd::text = wanted.command
LEFT JOIN LATERAL (
    SELECT min(compared.name COLLATE "C") AS col
    FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
           WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped) <> 'pg_catalog.text'::regtype
) AS waits ON true;

-- name: triggers_are_enabled
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s triggers', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'disabled' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s triggers', count(*))) AS found
FROM (VALUES
    ('chatgpt_imports', 'chatgpt_imports_set_updated_at'),
    ('chatgpt_conversations', 'chatgpt_conversations_set_updated_at')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT trg.tgname AS name, trg.tgenabled IN ('O', 'A') AS right
    FROM pg_catalog.pg_trigger AS trg
    WHERE trg.tgrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND trg.tgname = wanted.name AND NOT trg.tgisinternal
    LIMIT 1
) AS there ON true;

-- name: roles_have_what_they_need_and_no_more
-- On a server without the hosted roles only PUBLIC is looked at.
SELECT count(wrong.what) = 0 AS passed, 'nothing too much, nothing missing' AS expected,
       coalesce(string_agg(wrong.what, ', ' ORDER BY wrong.what), 'nothing too much, nothing missing') AS found
FROM (VALUES
    ('chatgpt_imports', '{SELECT,INSERT,UPDATE,DELETE}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('chatgpt_conversations', '{SELECT,INSERT,UPDATE,DELETE}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('chatgpt_messages', '{SELECT,INSERT,UPDATE,DELETE}', '{SELECT,INSERT,UPDATE,DELETE}')
) AS wanted (name, people, service)
LEFT JOIN pg_catalog.pg_class AS rel ON rel.relnamespace = quote_ident(current_schema())::regnamespace AND rel.relname = wanted.name
LEFT JOIN LATERAL (
    SELECT wanted.name || ' is missing' AS what WHERE rel.oid IS NULL
    UNION ALL
    SELECT format('%s has %s on %s', CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE grantee.rolname END, acl.privilege_type, wanted.name)
    FROM aclexplode(rel.relacl) AS acl
    CROSS JOIN pg_get_userbyid(acl.grantee) AS grantee (rolname)
    WHERE acl.grantee = 0 OR grantee.rolname = 'anon'
       OR (grantee.rolname = 'authenticated' AND acl.privilege_type <> ALL (wanted.people))
       OR (grantee.rolname = 'service_role' AND acl.privilege_type <> ALL (wanted.service))
    UNION ALL
    SELECT format('%s lacks %s on %s', api_role.rolname, needed.privilege, wanted.name)
    FROM unnest(ARRAY['authenticated', 'service_role']) AS api_role (rolname)
    CROSS JOIN LATERAL unnest(CASE api_role.rolname WHEN 'authenticated' THEN wanted.people ELSE wanted.service END) AS needed (privilege)
    WHERE NOT has_table_privilege(to_regrole(api_role.rolname), rel.oid, needed.privilege)
) AS wrong ON true;

-- name: functions_are_pinned_and_called_by_whom_they_are_for
SELECT bool_and(there.found = 'right') IS TRUE AND count(there.found) = count(*) AS passed,
       'search_path pinned, rights of the caller, EXECUTE for whom it is for' AS expected,
       string_agg(format('%s: %s', wanted.name, coalesce(there.found, 'missing')), '; ' ORDER BY wanted.name) AS found
FROM (VALUES
    ('search_chatgpt', 'text, integer', '{authenticated,service_role}'::text[])
) AS wanted (name, arguments, callers)
LEFT JOIN LATERAL (
    SELECT CASE
               WHEN NOT EXISTS (SELECT FROM unnest(fun.proconfig) AS setting WHERE setting LIKE 'search_path=%') THEN 'search_path not pinned'
               WHEN fun.prosecdef THEN 'runs with the rights of its owner'
               WHEN EXISTS (
                   SELECT FROM aclexplode(coalesce(fun.proacl, acldefault('f', fun.proowner))) AS acl
                   CROSS JOIN pg_get_userbyid(acl.grantee) AS grantee (rolname)
                   WHERE acl.grantee = 0
                      OR (grantee.rolname IN ('anon', 'authenticated', 'service_role') AND grantee.rolname <> ALL (wanted.callers))) THEN 'open to others'
               WHEN EXISTS (
                   SELECT FROM unnest(wanted.callers) AS caller (rolname)
                   WHERE NOT has_function_privilege(to_regrole(caller.rolname), fun.oid, 'EXECUTE')) THEN 'closed'
               ELSE 'right'
           END AS found
    FROM pg_catalog.pg_proc AS fun
    WHERE fun.pronamespace = quote_ident(current_schema())::regnamespace AND fun.proname = wanted.name
      AND oidvectortypes(fun.proargtypes) = wanted.arguments
) AS there ON true;

-- name: vectors_are_searched_by_an_index
SELECT count(*) = 2 AS passed,
       'idx_chatgpt_conversations_embedding, idx_chatgpt_messages_embedding: hnsw, vector_cosine_ops' AS expected,
       coalesce(string_agg(format('%s: %s, %s', idx.relname, am.amname, opc.opcname), ', ' ORDER BY idx.relname), 'none') AS found
FROM pg_catalog.pg_index AS ind
JOIN pg_catalog.pg_class AS idx ON idx.oid = ind.indexrelid
JOIN pg_catalog.pg_am AS am ON am.oid = idx.relam AND am.amname = 'hnsw'
JOIN pg_catalog.pg_opclass AS opc ON opc.oid = ind.indclass[0] AND opc.opcname = 'vector_cosine_ops'
WHERE idx.relnamespace = quote_ident(current_schema())::regnamespace
  AND idx.relname IN ('idx_chatgpt_conversations_embedding', 'idx_chatgpt_messages_embedding');

-- name: imports_can_be_searched
SELECT count(*) <= 1 AS passed, 'an answer' AS expected, format('%s rows', count(*)) AS found
FROM search_chatgpt('anything "at all" -nothing', 1);
