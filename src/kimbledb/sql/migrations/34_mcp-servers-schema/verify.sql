-- name: documented_query runs
SELECT name, status, last_health_check
FROM mcp_servers
WHERE active = true;

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
    ('mcp_servers', 'id', 'uuid not null'),
    ('mcp_servers', 'name', 'text'),
    ('mcp_servers', 'description', 'text'),
    ('mcp_servers', 'transport', 'text not null'),
    ('mcp_servers', 'command', 'text'),
    ('mcp_servers', 'args', 'jsonb'),
    ('mcp_servers', 'url', 'text'),
    ('mcp_servers', 'env', 'jsonb'),
    ('mcp_servers', 'capabilities', 'jsonb'),
    ('mcp_servers', 'timeout', 'integer'),
    ('mcp_servers', 'retry_attempts', 'integer'),
    ('mcp_servers', 'retry_delay', 'integer'),
    ('mcp_servers', 'health_check_interval', 'integer'),
    ('mcp_servers', 'health_check_timeout', 'integer'),
    ('mcp_servers', 'active', 'boolean not null'),
    ('mcp_servers', 'enabled', 'boolean'),
    ('mcp_servers', 'priority', 'integer'),
    ('mcp_servers', 'tags', 'text[]'),
    ('mcp_servers', 'status', 'text not null'),
    ('mcp_servers', 'status_changed_at', 'timestamp with time zone'),
    ('mcp_servers', 'last_health_check', 'timestamp with time zone'),
    ('mcp_servers', 'last_error', 'text'),
    ('mcp_servers', 'consecutive_failures', 'integer not null'),
    ('mcp_servers', 'created_at', 'timestamp with time zone not null'),
    ('mcp_servers', 'updated_at', 'timestamp with time zone not null'),
    ('mcp_tools', 'id', 'uuid not null'),
    ('mcp_tools', 'server_id', 'uuid'),
    ('mcp_tools', 'name', 'text'),
    ('mcp_tools', 'title', 'text'),
    ('mcp_tools', 'description', 'text'),
    ('mcp_tools', 'input_schema', 'jsonb not null'),
    ('mcp_tools', 'output_schema', 'jsonb'),
    ('mcp_tools', 'annotations', 'jsonb not null'),
    ('mcp_tools', 'active', 'boolean not null'),
    ('mcp_tools', 'usage_count', 'bigint not null'),
    ('mcp_tools', 'last_used_at', 'timestamp with time zone'),
    ('mcp_tools', 'created_at', 'timestamp with time zone not null'),
    ('mcp_tools', 'updated_at', 'timestamp with time zone not null'),
    ('mcp_prompts', 'id', 'uuid not null'),
    ('mcp_prompts', 'server_id', 'uuid'),
    ('mcp_prompts', 'name', 'text'),
    ('mcp_prompts', 'title', 'text'),
    ('mcp_prompts', 'description', 'text'),
    ('mcp_prompts', 'arguments', 'jsonb not null'),
    ('mcp_prompts', 'template', 'text'),
    ('mcp_prompts', 'active', 'boolean not null'),
    ('mcp_prompts', 'created_at', 'timestamp with time zone not null'),
    ('mcp_prompts', 'updated_at', 'timestamp with time zone not null'),
    ('mcp_resources', 'id', 'uuid not null'),
    ('mcp_resources', 'server_id', 'uuid'),
    ('mcp_resources', 'uri', 'text'),
    ('mcp_resources', 'name', 'text'),
    ('mcp_resources', 'title', 'text'),
    ('mcp_resources', 'description', 'text'),
    ('mcp_resources', 'mime_type', 'text'),
    ('mcp_resources', 'size_bytes', 'bigint'),
    ('mcp_resources', 'annotations', 'jsonb not null'),
    ('mcp_resources', 'active', 'boolean not null'),
    ('mcp_resources', 'created_at', 'timestamp with time zone not null'),
    ('mcp_resources', 'updated_at', 'timestamp with time zone not null'),
    ('mcp_health_checks', 'id', 'uuid not null'),
    ('mcp_health_checks', 'server_id', 'uuid'),
    ('mcp_health_checks', 'status', 'text'),
    ('mcp_health_checks', 'response_time_ms', 'integer'),
    ('mcp_health_checks', 'error_message', 'text'),
    ('mcp_health_checks', 'details', 'jsonb not null'),
    ('mcp_health_checks', 'checked_at', 'timestamp with time zone not null')
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
    ('mcp_servers', 'mcp_servers_pkey'),
    ('mcp_servers', 'mcp_servers_name_key'),
    ('mcp_servers', 'mcp_servers_transport_check'),
    ('mcp_servers', 'mcp_servers_status_check'),
    ('mcp_servers', 'mcp_servers_timeout_check'),
    ('mcp_servers', 'mcp_servers_retry_attempts_check'),
    ('mcp_servers', 'mcp_servers_retry_delay_check'),
    ('mcp_servers', 'mcp_servers_health_check_interval_check'),
    ('mcp_servers', 'mcp_servers_health_check_timeout_check'),
    ('mcp_servers', 'mcp_servers_consecutive_failures_check'),
    ('mcp_tools', 'mcp_tools_pkey'),
    ('mcp_tools', 'mcp_tools_server_id_name_key'),
    ('mcp_tools', 'mcp_tools_usage_count_check'),
    ('mcp_prompts', 'mcp_prompts_pkey'),
    ('mcp_prompts', 'mcp_prompts_server_id_name_key'),
    ('mcp_prompts', 'mcp_prompts_arguments_check'),
    ('mcp_resources', 'mcp_resources_pkey'),
    ('mcp_resources', 'mcp_resources_server_id_uri_key'),
    ('mcp_resources', 'mcp_resources_size_bytes_check'),
    ('mcp_health_checks', 'mcp_health_checks_pkey'),
    ('mcp_health_checks', 'mcp_health_checks_status_check'),
    ('mcp_health_checks', 'mcp_health_checks_response_time_ms_check')
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
    ('mcp_tools', 'mcp_tools_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'c'),
    ('mcp_prompts', 'mcp_prompts_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'c'),
    ('mcp_resources', 'mcp_resources_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'c'),
    ('mcp_health_checks', 'mcp_health_checks_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'c')
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
    ('mcp_servers', 'idx_mcp_servers_active'),
    ('mcp_servers', 'idx_mcp_servers_transport'),
    ('mcp_servers', 'idx_mcp_servers_tags'),
    ('mcp_health_checks', 'idx_mcp_health_checks_server_id_checked_at'),
    ('mcp_health_checks', 'idx_mcp_health_checks_checked_at')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS right
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: the_service_alone_reaches_the_rows
SELECT bool_and(tab.relrowsecurity IS TRUE AND NOT EXISTS (SELECT FROM pg_catalog.pg_policy AS pol WHERE pol.polrelid = tab.oid)) AS passed,
       'row level security and no policy' AS expected,
       string_agg(format('%s: row level security %s, %s policies', wanted.name, CASE WHEN tab.relrowsecurity THEN 'on' ELSE 'off' END,
                         (SELECT count(*) FROM pg_catalog.pg_policy AS pol WHERE pol.polrelid = tab.oid)), ', ' ORDER BY wanted.name) AS found
FROM (VALUES ('mcp_servers'), ('mcp_tools'), ('mcp_prompts'), ('mcp_resources'), ('mcp_health_checks')) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.name;

-- name: triggers_are_enabled
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s triggers', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'disabled' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s triggers', count(*))) AS found
FROM (VALUES
    ('mcp_servers', 'mcp_servers_sync_active'),
    ('mcp_health_checks', 'mcp_health_checks_update_server'),
    ('mcp_servers', 'mcp_servers_set_updated_at'),
    ('mcp_tools', 'mcp_tools_set_updated_at'),
    ('mcp_prompts', 'mcp_prompts_set_updated_at'),
    ('mcp_resources', 'mcp_resources_set_updated_at')
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
    ('mcp_servers', '{}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('mcp_tools', '{}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('mcp_prompts', '{}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('mcp_resources', '{}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('mcp_health_checks', '{}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('mcp_server_health', '{}', '{SELECT}')
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
    ('mcp_servers_sync_active', '', '{}'::text[]),
    ('mcp_health_checks_update_server', '', '{}')
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
    ('mcp_server_health', '{id,name,active,status,status_changed_at,last_health_check,consecutive_failures,overdue,checks_24h,uptime_24h,average_ms_24h}'::text[])
) AS wanted (name, cols)
LEFT JOIN pg_catalog.pg_class AS viw ON viw.relnamespace = quote_ident(current_schema())::regnamespace AND viw.relkind = 'v' AND viw.relname = wanted.name
LEFT JOIN LATERAL (
    SELECT array_agg(col.attname::text ORDER BY col.attnum) AS cols
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = viw.oid AND col.attnum > 0
) AS there ON true;

-- name: neither_name_has_a_default
-- The trigger fills it in: with a default on one column an INSERT that names the
-- other could not be told from one that names both.
SELECT count(*) = 0 AS passed, 'none' AS expected, coalesce(string_agg(col.attname, ', ' ORDER BY col.attname), 'none') AS found
FROM pg_catalog.pg_attribute AS col
JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'mcp_servers'
  AND col.attname IN ('active', 'enabled') AND col.atthasdef;

-- name: both_names_hold_the_same
SELECT count(*) = 0 AS passed, '0 rows differ' AS expected, format('%s rows differ', count(*)) AS found
FROM mcp_servers
WHERE active IS DISTINCT FROM enabled;

-- name: no_server_is_behind_its_checks
SELECT count(*) = 0 AS passed, '0 servers' AS expected, format('%s servers', count(*)) AS found
FROM mcp_servers AS server
WHERE server.last_health_check < (SELECT max(probe.checked_at) FROM mcp_health_checks AS probe WHERE probe.server_id = server.id);
