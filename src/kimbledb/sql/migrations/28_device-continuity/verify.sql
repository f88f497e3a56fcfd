-- name: documented_query runs
SELECT * FROM devices WHERE last_seen_at > NOW() - INTERVAL '1 hour';

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
    ('devices', 'id', 'text not null'),
    ('devices', 'user_id', 'text'),
    ('devices', 'name', 'text'),
    ('devices', 'device_type', 'text'),
    ('devices', 'platform', 'text'),
    ('devices', 'browser', 'text'),
    ('devices', 'app_version', 'text'),
    ('devices', 'is_active', 'boolean not null'),
    ('devices', 'last_seen_at', 'timestamp with time zone not null'),
    ('devices', 'metadata', 'jsonb not null'),
    ('devices', 'created_at', 'timestamp with time zone not null'),
    ('devices', 'updated_at', 'timestamp with time zone not null'),
    ('device_context', 'id', 'uuid not null'),
    ('device_context', 'user_id', 'text'),
    ('device_context', 'device_id', 'text'),
    ('device_context', 'conversation_id', 'text'),
    ('device_context', 'project_id', 'text'),
    ('device_context', 'context', 'jsonb not null'),
    ('device_context', 'key_stamps', 'jsonb not null'),
    ('device_context', 'version', 'bigint not null'),
    ('device_context', 'synced_versions', 'jsonb not null'),
    ('device_context', 'created_at', 'timestamp with time zone not null'),
    ('device_context', 'updated_at', 'timestamp with time zone not null'),
    ('device_sync_queue', 'id', 'uuid not null'),
    ('device_sync_queue', 'user_id', 'text'),
    ('device_sync_queue', 'source_device_id', 'text'),
    ('device_sync_queue', 'target_device_id', 'text'),
    ('device_sync_queue', 'item_type', 'text not null'),
    ('device_sync_queue', 'item_id', 'text'),
    ('device_sync_queue', 'operation', 'text not null'),
    ('device_sync_queue', 'payload', 'jsonb not null'),
    ('device_sync_queue', 'source_version', 'bigint'),
    ('device_sync_queue', 'status', 'text not null'),
    ('device_sync_queue', 'priority', 'integer not null'),
    ('device_sync_queue', 'attempts', 'integer not null'),
    ('device_sync_queue', 'max_attempts', 'integer not null'),
    ('device_sync_queue', 'error_message', 'text'),
    ('device_sync_queue', 'available_at', 'timestamp with time zone not null'),
    ('device_sync_queue', 'claimed_at', 'timestamp with time zone'),
    ('device_sync_queue', 'synced_at', 'timestamp with time zone'),
    ('device_sync_queue', 'created_at', 'timestamp with time zone not null'),
    ('device_sync_queue', 'updated_at', 'timestamp with time zone not null'),
    ('device_context_conflicts', 'id', 'uuid not null'),
    ('device_context_conflicts', 'user_id', 'text'),
    ('device_context_conflicts', 'device_id', 'text'),
    ('device_context_conflicts', 'context_key', 'text'),
    ('device_context_conflicts', 'kept_value', 'jsonb'),
    ('device_context_conflicts', 'kept_device_id', 'text'),
    ('device_context_conflicts', 'kept_changed_at', 'timestamp with time zone'),
    ('device_context_conflicts', 'lost_value', 'jsonb'),
    ('device_context_conflicts', 'lost_device_id', 'text'),
    ('device_context_conflicts', 'lost_changed_at', 'timestamp with time zone'),
    ('device_context_conflicts', 'acknowledged_at', 'timestamp with time zone'),
    ('device_context_conflicts', 'created_at', 'timestamp with time zone not null')
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
    ('devices', 'devices_pkey'),
    ('device_context', 'device_context_pkey'),
    ('device_context', 'device_context_device_id_key'),
    ('device_context', 'device_context_context_check'),
    ('device_context', 'device_context_key_stamps_check'),
    ('device_context', 'device_context_synced_versions_check'),
    ('device_context', 'device_context_version_check'),
    ('device_sync_queue', 'device_sync_queue_pkey'),
    ('device_sync_queue', 'device_sync_queue_operation_check'),
    ('device_sync_queue', 'device_sync_queue_status_check'),
    ('device_sync_queue', 'device_sync_queue_attempts_check'),
    ('device_sync_queue', 'device_sync_queue_max_attempts_check'),
    ('device_sync_queue', 'device_sync_queue_target_device_id_check'),
    ('device_context_conflicts', 'device_context_conflicts_pkey'),
    ('device_context_conflicts', 'device_context_conflicts_once_key')
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
    ('devices', 'devices_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('device_context', 'device_context_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('device_context', 'device_context_device_id_fkey', 'device_id', 'devices', 'id', 'c'),
    ('device_context', 'device_context_conversation_id_fkey', 'conversation_id', 'conversations', 'id', 'n'),
    ('device_context', 'device_context_project_id_fkey', 'project_id', 'projects', 'id', 'n'),
    ('device_sync_queue', 'device_sync_queue_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('device_sync_queue', 'device_sync_queue_source_device_id_fkey', 'source_device_id', 'devices', 'id', 'n'),
    ('device_sync_queue', 'device_sync_queue_target_device_id_fkey', 'target_device_id', 'devices', 'id', 'c'),
    ('device_context_conflicts', 'device_context_conflicts_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('device_context_conflicts', 'device_context_conflicts_device_id_fkey', 'device_id', 'devices', 'id', 'c')
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
    ('devices', 'idx_devices_user_id_last_seen_at'),
    ('devices', 'idx_devices_last_seen_at'),
    ('device_context', 'idx_device_context_user_id_updated_at'),
    ('device_context', 'idx_device_context_conversation_id'),
    ('device_context', 'idx_device_context_project_id'),
    ('device_sync_queue', 'idx_device_sync_queue_user_id_created_at'),
    ('device_sync_queue', 'idx_device_sync_queue_source_device_id'),
    ('device_sync_queue', 'idx_device_sync_queue_target_device_id'),
    ('device_sync_queue', 'idx_device_sync_queue_due'),
    ('device_sync_queue', 'idx_device_sync_queue_pending_context'),
    ('device_context_conflicts', 'idx_device_context_conflicts_user_id_created_at'),
    ('device_context_conflicts', 'idx_device_context_conflicts_device_id')
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
    ('devices', 'devices_owner', '*', '{devices.user_id}'::text[]),
    ('device_context', 'device_context_owner', '*', '{device_context.user_id,device_context.device_id,device_context.conversation_id,device_context.project_id,devices.id,devices.user_id,conversations.id,conversations.user_id,projects.id,projects.owner_id}'),
    ('device_sync_queue', 'device_sync_queue_owner', '*', '{device_sync_queue.user_id,device_sync_queue.source_device_id,device_sync_queue.target_device_id,devices.id,devices.user_id}'),
    ('device_context_conflicts', 'device_context_conflicts_owner', '*', '{device_context_conflicts.user_id,device_context_conflicts.device_id,devices.id,devices.user_id}')
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
    ('device_context', 'device_context_stamp'),
    ('devices', 'devices_set_updated_at'),
    ('device_context', 'device_context_set_updated_at'),
    ('device_sync_queue', 'device_sync_queue_set_updated_at')
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
    ('devices', '{SELECT,INSERT,UPDATE,DELETE}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('device_context', '{SELECT,INSERT,UPDATE,DELETE}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('device_sync_queue', '{SELECT,INSERT,UPDATE,DELETE}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('device_context_conflicts', '{SELECT,INSERT,UPDATE,DELETE}', '{SELECT,INSERT,UPDATE,DELETE}')
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
    ('save_device_context', 'text, jsonb, bigint, timestamp with time zone, text', '{authenticated,service_role}'::text[]),
    ('sync_device_context', 'text, text', '{authenticated,service_role}'),
    ('merge_device_context', 'text, jsonb, jsonb, bigint', '{authenticated,service_role}'),
    ('claim_device_sync', 'text, integer', '{authenticated,service_role}'),
    ('device_context_stamp', '', '{}')
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

-- name: every_key_of_a_context_has_a_stamp
SELECT count(*) = 0 AS passed, '0 keys without a stamp, or newer than their context' AS expected,
       format('%s keys without a stamp, or newer than their context', count(*)) AS found
FROM device_context AS own
CROSS JOIN LATERAL jsonb_object_keys(own.context) AS key
WHERE NOT own.key_stamps ? key OR (own.key_stamps -> key ->> 'version')::bigint > own.version;

-- name: everything_of_a_device_is_its_persons
SELECT count(*) = 0 AS passed, '0 rows of another person''s device' AS expected,
       format('%s rows of another person''s device', count(*)) AS found
FROM (
    SELECT own.user_id, own.device_id FROM device_context AS own
    UNION ALL
    SELECT item.user_id, item.target_device_id FROM device_sync_queue AS item
    UNION ALL
    SELECT item.user_id, item.source_device_id FROM device_sync_queue AS item
    UNION ALL
    SELECT conflict.user_id, conflict.device_id FROM device_context_conflicts AS conflict
) AS part
JOIN devices AS device ON device.id = part.device_id AND device.user_id <> part.user_id;
