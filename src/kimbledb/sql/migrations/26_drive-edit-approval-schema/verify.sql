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
    ('drive_edit_requests', 'id', 'uuid not null'),
    ('drive_edit_requests', 'user_id', 'text'),
    ('drive_edit_requests', 'conversation_id', 'text'),
    ('drive_edit_requests', 'drive_file_id', 'text'),
    ('drive_edit_requests', 'drive_file_name', 'text'),
    ('drive_edit_requests', 'mime_type', 'text'),
    ('drive_edit_requests', 'operation', 'text not null'),
    ('drive_edit_requests', 'summary', 'text'),
    ('drive_edit_requests', 'base_revision_id', 'text'),
    ('drive_edit_requests', 'original_content', 'text'),
    ('drive_edit_requests', 'proposed_content', 'text'),
    ('drive_edit_requests', 'diff', 'text'),
    ('drive_edit_requests', 'changes', 'jsonb not null'),
    ('drive_edit_requests', 'result_revision_id', 'text'),
    ('drive_edit_requests', 'status', 'text not null'),
    ('drive_edit_requests', 'requested_by', 'text'),
    ('drive_edit_requests', 'decided_by', 'text'),
    ('drive_edit_requests', 'decided_at', 'timestamp with time zone'),
    ('drive_edit_requests', 'decision_note', 'text'),
    ('drive_edit_requests', 'expires_at', 'timestamp with time zone'),
    ('drive_edit_requests', 'applied_at', 'timestamp with time zone'),
    ('drive_edit_requests', 'error_message', 'text'),
    ('drive_edit_requests', 'metadata', 'jsonb not null'),
    ('drive_edit_requests', 'created_at', 'timestamp with time zone not null'),
    ('drive_edit_requests', 'updated_at', 'timestamp with time zone not null'),
    ('drive_edit_audit_log', 'id', 'bigint not null'),
    ('drive_edit_audit_log', 'request_id', 'uuid'),
    ('drive_edit_audit_log', 'user_id', 'text'),
    ('drive_edit_audit_log', 'action', 'text not null'),
    ('drive_edit_audit_log', 'old_status', 'text'),
    ('drive_edit_audit_log', 'new_status', 'text'),
    ('drive_edit_audit_log', 'changed_columns', 'text[] not null'),
    ('drive_edit_audit_log', 'old_values', 'jsonb not null'),
    ('drive_edit_audit_log', 'new_values', 'jsonb not null'),
    ('drive_edit_audit_log', 'actor_id', 'text'),
    ('drive_edit_audit_log', 'database_role', 'text'),
    ('drive_edit_audit_log', 'created_at', 'timestamp with time zone not null')
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
    ('drive_edit_requests', 'drive_edit_requests_pkey'),
    ('drive_edit_requests', 'drive_edit_requests_operation_check'),
    ('drive_edit_requests', 'drive_edit_requests_status_check'),
    ('drive_edit_requests', 'drive_edit_requests_changes_check'),
    ('drive_edit_audit_log', 'drive_edit_audit_log_pkey'),
    ('drive_edit_audit_log', 'drive_edit_audit_log_action_check')
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
    ('drive_edit_requests', 'drive_edit_requests_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('drive_edit_requests', 'drive_edit_requests_conversation_id_fkey', 'conversation_id', 'conversations', 'id', 'n'),
    ('drive_edit_requests', 'drive_edit_requests_decided_by_fkey', 'decided_by', 'users', 'id', 'n')
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
    ('drive_edit_requests', 'idx_drive_edit_requests_user_id_created_at'),
    ('drive_edit_requests', 'idx_drive_edit_requests_conversation_id'),
    ('drive_edit_requests', 'idx_drive_edit_requests_decided_by'),
    ('drive_edit_requests', 'idx_drive_edit_requests_drive_file_id_created_at'),
    ('drive_edit_requests', 'idx_drive_edit_requests_pending'),
    ('drive_edit_requests', 'idx_drive_edit_requests_expires_at'),
    ('drive_edit_audit_log', 'idx_drive_edit_audit_log_request_id'),
    ('drive_edit_audit_log', 'idx_drive_edit_audit_log_user_id_created_at')
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
    ('drive_edit_requests', 'drive_edit_requests_owner_read', 'r', '{drive_edit_requests.user_id}'::text[]),
    ('drive_edit_audit_log', 'drive_edit_audit_log_owner_read', 'r', '{drive_edit_audit_log.user_id}')
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
    ('drive_edit_requests', 'drive_edit_requests_guard'),
    ('drive_edit_requests', 'drive_edit_requests_record'),
    ('drive_edit_requests', 'drive_edit_requests_set_updated_at'),
    ('drive_edit_audit_log', 'drive_edit_audit_log_append_only')
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
    ('drive_edit_requests', '{SELECT}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('drive_edit_audit_log', '{SELECT}', '{SELECT,INSERT,UPDATE,DELETE}')
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
    ('drive_edit_transition_allowed', 'text, text', '{authenticated,service_role}'::text[]),
    ('expire_drive_edit_requests', '', '{service_role}'),
    ('drive_edit_requests_guard', '', '{}'),
    ('drive_edit_requests_record', '', '{}'),
    ('drive_edit_audit_log_append_only', '', '{}')
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

-- name: transitions_are_as_drawn
SELECT count(*) FILTER (WHERE drive_edit_transition_allowed(step.from_status, step.to_status)) = 13 AND bool_and(
           drive_edit_transition_allowed(step.from_status, step.to_status) = (format('%s-%s', step.from_status, step.to_status) = ANY (ARRAY[
               'pending-approved', 'pending-rejected', 'pending-cancelled', 'pending-expired',
               'approved-applying', 'approved-applied', 'approved-failed', 'approved-cancelled', 'approved-expired',
               'applying-applied', 'applying-failed', 'failed-applying', 'failed-cancelled']))) AS passed,
       '13 of 64' AS expected,
       format('%s of %s', count(*) FILTER (WHERE drive_edit_transition_allowed(step.from_status, step.to_status)), count(*)) AS found
FROM (
    SELECT old.status, new.status
    FROM unnest(ARRAY['pending', 'approved', 'rejected', 'cancelled', 'expired', 'applying', 'applied', 'failed']) AS old (status)
    CROSS JOIN unnest(ARRAY['pending', 'approved', 'rejected', 'cancelled', 'expired', 'applying', 'applied', 'failed']) AS new (status)
) AS step (from_status, to_status);

-- name: the_trail_is_whole
-- The latest entry of each request that the trail knows from its beginning has the request's status.
SELECT count(*) FILTER (WHERE entry.new_status IS DISTINCT FROM request.status) = 0 AS passed,
       '0 requests differ from their trail' AS expected,
       format('%s requests differ from their trail', count(*) FILTER (WHERE entry.new_status IS DISTINCT FROM request.status)) AS found
FROM drive_edit_requests AS request
JOIN LATERAL (
    SELECT log.new_status
    FROM drive_edit_audit_log AS log
    WHERE log.request_id = request.id
    ORDER BY log.id DESC
    LIMIT 1
) AS entry ON true;
