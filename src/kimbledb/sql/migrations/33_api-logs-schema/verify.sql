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
    ('api_logs', 'session_id', 'text'),
    ('api_logs', 'request_id', 'text'),
    ('api_logs', 'environment', 'text'),
    ('api_logs', 'query_params', 'jsonb'),
    ('api_logs', 'headers', 'jsonb'),
    ('api_logs', 'request_body', 'jsonb'),
    ('api_logs', 'response_body', 'jsonb'),
    ('api_logs', 'metadata', 'jsonb not null'),
    ('api_logs', 'request_size_bytes', 'bigint'),
    ('api_logs', 'response_size_bytes', 'bigint'),
    ('api_logs', 'database_time_ms', 'integer'),
    ('api_logs', 'upstream_time_ms', 'integer'),
    ('api_logs', 'cache_hit', 'boolean'),
    ('api_logs', 'error_category', 'text'),
    ('api_logs', 'error_code', 'text'),
    ('api_logs', 'stack_trace', 'text'),
    ('api_logs', 'rate_limited', 'boolean not null'),
    ('api_logs', 'rate_limit', 'integer'),
    ('api_logs', 'rate_limit_remaining', 'integer'),
    ('api_logs', 'rate_limit_reset_at', 'timestamp with time zone'),
    ('api_rate_limits', 'client_key', 'text'),
    ('api_rate_limits', 'endpoint', 'text'),
    ('api_rate_limits', 'window_seconds', 'integer'),
    ('api_rate_limits', 'window_start', 'timestamp with time zone'),
    ('api_rate_limits', 'max_requests', 'integer'),
    ('api_rate_limits', 'request_count', 'integer not null'),
    ('api_rate_limits', 'refused_count', 'integer not null'),
    ('api_rate_limits', 'last_request_at', 'timestamp with time zone not null'),
    ('api_rate_limits', 'created_at', 'timestamp with time zone not null')
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
    ('api_logs', 'api_logs_request_size_bytes_check'),
    ('api_logs', 'api_logs_response_size_bytes_check'),
    ('api_logs', 'api_logs_database_time_ms_check'),
    ('api_logs', 'api_logs_upstream_time_ms_check'),
    ('api_logs', 'api_logs_error_category_check'),
    ('api_logs', 'api_logs_rate_limit_check'),
    ('api_logs', 'api_logs_rate_limit_remaining_check'),
    ('api_rate_limits', 'api_rate_limits_pkey'),
    ('api_rate_limits', 'api_rate_limits_window_seconds_check'),
    ('api_rate_limits', 'api_rate_limits_max_requests_check'),
    ('api_rate_limits', 'api_rate_limits_request_count_check'),
    ('api_rate_limits', 'api_rate_limits_refused_count_check')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT con.conname AS name, con.convalidated AS right
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name
    LIMIT 1
) AS there ON true;

-- name: indexes_are_valid
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s indexes', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s indexes', count(*))) AS found
FROM (VALUES
    ('api_logs', 'idx_api_logs_error_category_created_at'),
    ('api_logs', 'idx_api_logs_session_id_created_at'),
    ('api_logs', 'idx_api_logs_request_id'),
    ('api_rate_limits', 'idx_api_rate_limits_window_start')
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
FROM (VALUES ('api_logs'), ('api_rate_limits')) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.name;

-- name: triggers_are_enabled
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s triggers', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'disabled' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s triggers', count(*))) AS found
FROM (VALUES
    ('api_logs', 'api_logs_categorize_error')
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
    ('api_rate_limits', '{}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('api_endpoint_performance', '{}', '{SELECT}'),
    ('api_error_summary', '{}', '{SELECT}'),
    ('api_rate_limit_usage', '{}', '{SELECT}')
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
    ('api_error_category', 'integer, text', '{service_role}'::text[]),
    ('count_api_request', 'text, text, integer, integer', '{service_role}'),
    ('purge_api_rate_limits', 'interval', '{service_role}'),
    ('api_logs_categorize_error', '', '{}')
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
    ('api_endpoint_performance', '{day,endpoint,method,requests,errors,error_rate,rate_limited,average_ms,median_ms,p95_ms,p99_ms,max_ms,average_database_ms,average_upstream_ms,average_response_bytes,cache_hit_rate}'::text[]),
    ('api_error_summary', '{day,error_category,endpoint,status_code,errors,people,first_at,last_at,last_message}'),
    ('api_rate_limit_usage', '{client_key,endpoint,window_start,reset_at,request_count,refused_count,max_requests,remaining}')
) AS wanted (name, cols)
LEFT JOIN pg_catalog.pg_class AS viw ON viw.relnamespace = quote_ident(current_schema())::regnamespace AND viw.relkind = 'v' AND viw.relname = wanted.name
LEFT JOIN LATERAL (
    SELECT array_agg(col.attname::text ORDER BY col.attnum) AS cols
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = viw.oid AND col.attnum > 0
) AS there ON true;

-- name: errors_are_categorized
SELECT api_error_category(200, NULL) IS NULL AND api_error_category(429) = 'rate_limit' AND api_error_category(500, 'statement timeout') = 'timeout'
           AND api_error_category(418) = 'client' AND api_error_category(NULL, 'socket hang up') = 'unknown' AS passed;

-- name: logged_errors_have_their_category
-- Of the latest thousand requests.
SELECT count(*) = 0 AS passed, '0 errors without one' AS expected, format('%s errors without one', count(*)) AS found
FROM (SELECT * FROM api_logs ORDER BY created_at DESC LIMIT 1000) AS log
WHERE log.error_category IS NULL AND (log.status_code >= 400 OR log.error_message IS NOT NULL);

-- name: present_windows_can_be_looked_at
SELECT count(*) FILTER (WHERE usage.remaining < 0 OR usage.reset_at <= now()) = 0 AS passed, '0 wrong rows' AS expected,
       format('%s wrong rows', count(*) FILTER (WHERE usage.remaining < 0 OR usage.reset_at <= now())) AS found
FROM api_rate_limit_usage AS usage;
