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
    ('zapier_webhook_logs', 'id', 'uuid not null'),
    ('zapier_webhook_logs', 'user_id', 'text'),
    ('zapier_webhook_logs', 'event_type', 'text'),
    ('zapier_webhook_logs', 'priority', 'text'),
    ('zapier_webhook_logs', 'success', 'boolean not null'),
    ('zapier_webhook_logs', 'webhook_called', 'boolean not null'),
    ('zapier_webhook_logs', 'webhook_id', 'text'),
    ('zapier_webhook_logs', 'attempt', 'integer not null'),
    ('zapier_webhook_logs', 'payload_preview', 'text'),
    ('zapier_webhook_logs', 'request_body', 'jsonb'),
    ('zapier_webhook_logs', 'request_size_bytes', 'integer'),
    ('zapier_webhook_logs', 'response_status', 'integer'),
    ('zapier_webhook_logs', 'response_body', 'text'),
    ('zapier_webhook_logs', 'duration_ms', 'integer'),
    ('zapier_webhook_logs', 'error', 'text'),
    ('zapier_webhook_logs', 'error_code', 'text'),
    ('zapier_webhook_logs', 'rate_limited', 'boolean not null'),
    ('zapier_webhook_logs', 'rate_limit', 'integer'),
    ('zapier_webhook_logs', 'rate_limit_remaining', 'integer'),
    ('zapier_webhook_logs', 'rate_limit_reset_at', 'timestamp with time zone'),
    ('zapier_webhook_logs', 'retry_after_seconds', 'integer'),
    ('zapier_webhook_logs', 'metadata', 'jsonb not null'),
    ('zapier_webhook_logs', 'timestamp', 'timestamp with time zone not null'),
    ('zapier_webhook_logs', 'created_at', 'timestamp with time zone not null')
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
    ('zapier_webhook_logs', 'zapier_webhook_logs_pkey'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_priority_check'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_attempt_check'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_request_size_bytes_check'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_response_status_check'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_duration_ms_check'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_rate_limit_check'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_rate_limit_remaining_check'),
    ('zapier_webhook_logs', 'zapier_webhook_logs_retry_after_seconds_check')
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
    ('zapier_webhook_logs', 'zapier_webhook_logs_user_id_fkey', 'user_id', 'users', 'id', 'n')
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
    ('zapier_webhook_logs', 'idx_zapier_webhook_logs_user_id_timestamp'),
    ('zapier_webhook_logs', 'idx_zapier_webhook_logs_event_type_timestamp'),
    ('zapier_webhook_logs', 'idx_zapier_webhook_logs_timestamp'),
    ('zapier_webhook_logs', 'idx_zapier_webhook_logs_failed'),
    ('zapier_webhook_logs', 'idx_zapier_webhook_logs_rate_limited')
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
    ('zapier_webhook_logs', 'zapier_webhook_logs_owner_read', 'r', '{zapier_webhook_logs.user_id}'::text[])
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

-- name: roles_have_what_they_need_and_no_more
-- On a server without the hosted roles only PUBLIC is looked at.
SELECT count(wrong.what) = 0 AS passed, 'nothing too much, nothing missing' AS expected,
       coalesce(string_agg(wrong.what, ', ' ORDER BY wrong.what), 'nothing too much, nothing missing') AS found
FROM (VALUES
    ('zapier_webhook_logs', '{SELECT}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('zapier_webhook_rates', '{SELECT}', '{SELECT}')
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
    ('zapier_webhook_allowance', 'text, integer, interval', '{authenticated,service_role}'::text[])
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

-- name: views_give_their_columns_with_the_rights_of_their_reader
SELECT bool_and('security_invoker=true' = ANY (viw.reloptions) AND there.cols = wanted.cols) IS TRUE AND count(viw.oid) = count(*) AS passed,
       string_agg(format('%s: %s, security_invoker=true', wanted.name, wanted.cols), '; ' ORDER BY wanted.name) AS expected,
       string_agg(format('%s: %s, %s', wanted.name, there.cols, array_to_string(viw.reloptions, ' ')), '; ' ORDER BY wanted.name) AS found
FROM (VALUES
    ('zapier_webhook_rates', '{user_id,hour,event_type,events,calls,failed,rate_limited,lowest_remaining,average_ms}'::text[])
) AS wanted (name, cols)
LEFT JOIN pg_catalog.pg_class AS viw ON viw.relnamespace = quote_ident(current_schema())::regnamespace AND viw.relkind = 'v' AND viw.relname = wanted.name
LEFT JOIN LATERAL (
    SELECT array_agg(col.attname::text ORDER BY col.attnum) AS cols
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = viw.oid AND col.attnum > 0
) AS there ON true;

-- name: allowance_can_be_asked_for
-- A person who never called has all calls left.
SELECT allowance.allowed AND allowance.remaining = 7 AS passed,
       'allowed, 7 remaining' AS expected,
       format('%s, %s remaining', CASE WHEN allowance.allowed THEN 'allowed' ELSE 'not allowed' END, allowance.remaining) AS found
FROM zapier_webhook_allowance('nobody, and no id of anybody', 7, '1 hour') AS allowance;
