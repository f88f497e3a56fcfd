-- name: documented_query runs
SELECT status, COUNT(*) FROM agent_tasks GROUP BY status;

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
    ('agent_tasks', 'id', 'uuid not null'),
    ('agent_tasks', 'task_type', 'text'),
    ('agent_tasks', 'priority', 'integer not null'),
    ('agent_tasks', 'status', 'text not null'),
    ('agent_tasks', 'title', 'text'),
    ('agent_tasks', 'description', 'text'),
    ('agent_tasks', 'file_paths', 'text[]'),
    ('agent_tasks', 'metadata', 'jsonb'),
    ('agent_tasks', 'scheduled_for', 'timestamp with time zone'),
    ('agent_tasks', 'recurrence', 'text'),
    ('agent_tasks', 'recurs_from', 'uuid'),
    ('agent_tasks', 'started_at', 'timestamp with time zone'),
    ('agent_tasks', 'completed_at', 'timestamp with time zone'),
    ('agent_tasks', 'duration_ms', 'integer'),
    ('agent_tasks', 'attempts', 'integer not null'),
    ('agent_tasks', 'max_attempts', 'integer not null'),
    ('agent_tasks', 'result', 'text'),
    ('agent_tasks', 'changes_made', 'text[]'),
    ('agent_tasks', 'tests_passed', 'boolean'),
    ('agent_tasks', 'error_message', 'text'),
    ('agent_tasks', 'user_id', 'text'),
    ('agent_tasks', 'created_by', 'text'),
    ('agent_tasks', 'is_active', 'boolean'),
    ('agent_tasks', 'detected_at', 'timestamp with time zone'),
    ('agent_tasks', 'created_at', 'timestamp with time zone not null'),
    ('agent_tasks', 'updated_at', 'timestamp with time zone not null'),
    ('agent_findings', 'id', 'uuid not null'),
    ('agent_findings', 'finding_type', 'text not null'),
    ('agent_findings', 'type', 'text'),
    ('agent_findings', 'severity', 'text not null'),
    ('agent_findings', 'status', 'text not null'),
    ('agent_findings', 'title', 'text'),
    ('agent_findings', 'description', 'text'),
    ('agent_findings', 'location', 'text'),
    ('agent_findings', 'line_numbers', 'integer[]'),
    ('agent_findings', 'detection_method', 'text'),
    ('agent_findings', 'detected_at', 'timestamp with time zone not null'),
    ('agent_findings', 'evidence', 'jsonb'),
    ('agent_findings', 'action', 'text'),
    ('agent_findings', 'resolution', 'text'),
    ('agent_findings', 'fixed_at', 'timestamp with time zone'),
    ('agent_findings', 'fixed_by', 'text'),
    ('agent_findings', 'related_task_id', 'uuid'),
    ('agent_findings', 'impact_score', 'numeric(3,2)'),
    ('agent_findings', 'affected_users', 'integer'),
    ('agent_findings', 'user_id', 'text'),
    ('agent_findings', 'is_active', 'boolean'),
    ('agent_findings', 'metadata', 'jsonb'),
    ('agent_findings', 'created_at', 'timestamp with time zone not null'),
    ('agent_findings', 'updated_at', 'timestamp with time zone not null'),
    ('agent_execution_log', 'id', 'bigint not null'),
    ('agent_execution_log', 'task_id', 'uuid'),
    ('agent_execution_log', 'task_type', 'text'),
    ('agent_execution_log', 'event', 'text not null'),
    ('agent_execution_log', 'level', 'text not null'),
    ('agent_execution_log', 'message', 'text'),
    ('agent_execution_log', 'attempt', 'integer'),
    ('agent_execution_log', 'duration_ms', 'integer'),
    ('agent_execution_log', 'details', 'jsonb not null'),
    ('agent_execution_log', 'created_at', 'timestamp with time zone not null')
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
    ('agent_tasks', 'agent_tasks_pkey'),
    ('agent_tasks', 'agent_tasks_recurs_from_key'),
    ('agent_tasks', 'agent_tasks_task_type_check'),
    ('agent_tasks', 'agent_tasks_status_check'),
    ('agent_tasks', 'agent_tasks_duration_ms_check'),
    ('agent_tasks', 'agent_tasks_attempts_check'),
    ('agent_tasks', 'agent_tasks_max_attempts_check'),
    ('agent_findings', 'agent_findings_pkey'),
    ('agent_findings', 'agent_findings_finding_type_check'),
    ('agent_findings', 'agent_findings_severity_check'),
    ('agent_findings', 'agent_findings_status_check'),
    ('agent_findings', 'agent_findings_impact_score_check'),
    ('agent_findings', 'agent_findings_affected_users_check'),
    ('agent_execution_log', 'agent_execution_log_pkey'),
    ('agent_execution_log', 'agent_execution_log_level_check'),
    ('agent_execution_log', 'agent_execution_log_attempt_check'),
    ('agent_execution_log', 'agent_execution_log_duration_ms_check')
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
    ('agent_tasks', 'agent_tasks_user_id_fkey', 'user_id', 'users', 'id', 'n'),
    ('agent_tasks', 'agent_tasks_recurs_from_fkey', 'recurs_from', 'agent_tasks', 'id', 'n'),
    ('agent_findings', 'agent_findings_user_id_fkey', 'user_id', 'users', 'id', 'n'),
    ('agent_findings', 'agent_findings_related_task_id_fkey', 'related_task_id', 'agent_tasks', 'id', 'a'),
    ('agent_execution_log', 'agent_execution_log_task_id_fkey', 'task_id', 'agent_tasks', 'id', 'n')
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
    ('agent_tasks', 'idx_agent_tasks_due'),
    ('agent_tasks', 'idx_agent_tasks_status_created_at'),
    ('agent_tasks', 'idx_agent_tasks_task_type_created_at'),
    ('agent_tasks', 'idx_agent_tasks_completed_at'),
    ('agent_tasks', 'idx_agent_tasks_user_id_created_at'),
    ('agent_findings', 'idx_agent_findings_status_detected_at'),
    ('agent_findings', 'idx_agent_findings_finding_type_detected_at'),
    ('agent_findings', 'idx_agent_findings_severity_detected_at'),
    ('agent_findings', 'idx_agent_findings_detected_at'),
    ('agent_findings', 'idx_agent_findings_detection_method'),
    ('agent_findings', 'idx_agent_findings_title'),
    ('agent_findings', 'idx_agent_findings_related_task_id'),
    ('agent_findings', 'idx_agent_findings_user_id_created_at'),
    ('agent_execution_log', 'idx_agent_execution_log_task_id_created_at'),
    ('agent_execution_log', 'idx_agent_execution_log_created_at')
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
FROM (VALUES ('agent_tasks'), ('agent_findings'), ('agent_execution_log')) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS tab ON tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = wanted.name;

-- name: triggers_are_enabled
SELECT bool_and(there.right IS TRUE) AS passed,
       format('%s triggers', count(*)) AS expected,
       coalesce(string_agg(format('%s on %s: %s', wanted.name, wanted.tab, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'disabled' END),
                           ', ' ORDER BY wanted.tab, wanted.name) FILTER (WHERE there.right IS NOT TRUE),
                format('%s triggers', count(*))) AS found
FROM (VALUES
    ('agent_tasks', 'agent_tasks_record_execution'),
    ('agent_tasks', 'agent_tasks_set_updated_at'),
    ('agent_findings', 'agent_findings_set_updated_at')
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
    ('agent_tasks', '{}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('agent_findings', '{}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('agent_execution_log', '{}', '{SELECT,INSERT,UPDATE,DELETE}')
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
    ('agent_next_run', 'text, timestamp with time zone', '{service_role}'::text[]),
    ('claim_agent_task', 'text[], interval', '{service_role}'),
    ('finish_agent_task', 'uuid, text, text, text, text[]', '{service_role}'),
    ('agent_tasks_record_execution', '', '{}')
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

-- name: recurrence_is_understood
SELECT agent_next_run('daily', now() - interval '1 hour') = now() - interval '1 hour' + interval '1 day'
           AND agent_next_run('every 15 minutes', now()) = now() + interval '15 minutes'
           AND agent_next_run('hourly', now() - interval '1 year') = now() + interval '1 hour'
           AND agent_next_run(NULL, now()) IS NULL AND agent_next_run('0 3 * * *', now()) IS NULL AND agent_next_run('never', now()) IS NULL AS passed;
