-- name: documented_query runs
SELECT * FROM workflows WHERE active = true;

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
    ('workflows', 'id', 'text not null'),
    ('workflows', 'user_id', 'text'),
    ('workflows', 'name', 'text'),
    ('workflows', 'description', 'text'),
    ('workflows', 'version', 'integer'),
    ('workflows', 'status', 'text not null'),
    ('workflows', 'active', 'boolean not null'),
    ('workflows', 'enabled', 'boolean'),
    ('workflows', 'trigger_type', 'text'),
    ('workflows', 'trigger_config', 'jsonb'),
    ('workflows', 'actions', 'jsonb'),
    ('workflows', 'triggers', 'jsonb'),
    ('workflows', 'steps', 'jsonb'),
    ('workflows', 'conditions', 'jsonb'),
    ('workflows', 'settings', 'jsonb'),
    ('workflows', 'metadata', 'jsonb'),
    ('workflows', 'last_executed', 'timestamp with time zone'),
    ('workflows', 'execution_count', 'integer not null'),
    ('workflows', 'success_count', 'integer not null'),
    ('workflows', 'average_execution_time', 'integer'),
    ('workflows', 'error_rate', 'real'),
    ('workflows', 'learning_enabled', 'boolean not null'),
    ('workflows', 'optimization_score', 'real'),
    ('workflows', 'adaptations', 'jsonb'),
    ('workflows', 'created_at', 'timestamp with time zone not null'),
    ('workflows', 'updated_at', 'timestamp with time zone not null'),
    ('workflow_executions', 'id', 'text not null'),
    ('workflow_executions', 'workflow_id', 'text'),
    ('workflow_executions', 'user_id', 'text'),
    ('workflow_executions', 'status', 'text not null'),
    ('workflow_executions', 'trigger_id', 'text'),
    ('workflow_executions', 'trigger_data', 'jsonb'),
    ('workflow_executions', 'context', 'jsonb'),
    ('workflow_executions', 'steps', 'jsonb'),
    ('workflow_executions', 'current_step', 'text'),
    ('workflow_executions', 'outputs', 'jsonb'),
    ('workflow_executions', 'result', 'jsonb'),
    ('workflow_executions', 'error', 'text'),
    ('workflow_executions', 'errors', 'jsonb'),
    ('workflow_executions', 'warnings', 'jsonb'),
    ('workflow_executions', 'approvals', 'jsonb'),
    ('workflow_executions', 'performance_metrics', 'jsonb'),
    ('workflow_executions', 'start_time', 'timestamp with time zone'),
    ('workflow_executions', 'end_time', 'timestamp with time zone'),
    ('workflow_executions', 'duration', 'integer'),
    ('workflow_executions', 'started_at', 'timestamp with time zone'),
    ('workflow_executions', 'completed_at', 'timestamp with time zone'),
    ('workflow_executions', 'created_at', 'timestamp with time zone not null'),
    ('workflow_executions', 'updated_at', 'timestamp with time zone not null'),
    ('workflow_triggers', 'id', 'text not null'),
    ('workflow_triggers', 'workflow_id', 'text'),
    ('workflow_triggers', 'trigger_type', 'text'),
    ('workflow_triggers', 'name', 'text'),
    ('workflow_triggers', 'active', 'boolean not null'),
    ('workflow_triggers', 'schedule', 'text'),
    ('workflow_triggers', 'timezone', 'text not null'),
    ('workflow_triggers', 'webhook_key', 'text'),
    ('workflow_triggers', 'event_name', 'text'),
    ('workflow_triggers', 'config', 'jsonb not null'),
    ('workflow_triggers', 'next_run_at', 'timestamp with time zone'),
    ('workflow_triggers', 'last_triggered_at', 'timestamp with time zone'),
    ('workflow_triggers', 'created_at', 'timestamp with time zone not null'),
    ('workflow_triggers', 'updated_at', 'timestamp with time zone not null'),
    ('workflow_actions', 'id', 'text not null'),
    ('workflow_actions', 'workflow_id', 'text'),
    ('workflow_actions', 'action_type', 'text'),
    ('workflow_actions', 'name', 'text'),
    ('workflow_actions', 'position', 'integer not null'),
    ('workflow_actions', 'active', 'boolean not null'),
    ('workflow_actions', 'config', 'jsonb not null'),
    ('workflow_actions', 'on_error', 'text not null'),
    ('workflow_actions', 'max_retries', 'integer not null'),
    ('workflow_actions', 'timeout_ms', 'integer not null'),
    ('workflow_actions', 'created_at', 'timestamp with time zone not null'),
    ('workflow_actions', 'updated_at', 'timestamp with time zone not null')
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
    ('workflows', 'workflows_pkey'),
    ('workflows', 'workflows_status_check'),
    ('workflows', 'workflows_version_check'),
    ('workflows', 'workflows_execution_count_check'),
    ('workflows', 'workflows_success_count_check'),
    ('workflows', 'workflows_average_execution_time_check'),
    ('workflows', 'workflows_error_rate_check'),
    ('workflow_executions', 'workflow_executions_pkey'),
    ('workflow_executions', 'workflow_executions_status_check'),
    ('workflow_executions', 'workflow_executions_duration_check'),
    ('workflow_triggers', 'workflow_triggers_pkey'),
    ('workflow_triggers', 'workflow_triggers_webhook_key_key'),
    ('workflow_triggers', 'workflow_triggers_trigger_type_check'),
    ('workflow_actions', 'workflow_actions_pkey'),
    ('workflow_actions', 'workflow_actions_action_type_check'),
    ('workflow_actions', 'workflow_actions_on_error_check'),
    ('workflow_actions', 'workflow_actions_position_check'),
    ('workflow_actions', 'workflow_actions_max_retries_check'),
    ('workflow_actions', 'workflow_actions_timeout_ms_check')
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
    ('workflows', 'workflows_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('workflow_executions', 'workflow_executions_workflow_id_fkey', 'workflow_id', 'workflows', 'id', 'c'),
    ('workflow_executions', 'workflow_executions_user_id_fkey', 'user_id', 'users', 'id', 'c'),
    ('workflow_triggers', 'workflow_triggers_workflow_id_fkey', 'workflow_id', 'workflows', 'id', 'c'),
    ('workflow_actions', 'workflow_actions_workflow_id_fkey', 'workflow_id', 'workflows', 'id', 'c')
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
    ('workflows', 'idx_workflows_user_id_created_at'),
    ('workflows', 'idx_workflows_active'),
    ('workflow_executions', 'idx_workflow_executions_workflow_id_started_at'),
    ('workflow_executions', 'idx_workflow_executions_user_id_started_at'),
    ('workflow_executions', 'idx_workflow_executions_open'),
    ('workflow_triggers', 'idx_workflow_triggers_workflow_id'),
    ('workflow_triggers', 'idx_workflow_triggers_next_run_at'),
    ('workflow_triggers', 'idx_workflow_triggers_event_name'),
    ('workflow_actions', 'idx_workflow_actions_workflow_id_position')
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
    ('workflows', 'workflows_owner', '*', '{workflows.user_id}'::text[]),
    ('workflow_executions', 'workflow_executions_owner_read', 'r', '{workflow_executions.workflow_id,workflows.id,workflows.user_id}'),
    ('workflow_triggers', 'workflow_triggers_owner', '*', '{workflow_triggers.workflow_id,workflows.id,workflows.user_id}'),
    ('workflow_actions', 'workflow_actions_owner', '*', '{workflow_actions.workflow_id,workflows.id,workflows.user_id}')
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
    ('workflows', 'workflows_sync_active'),
    ('workflow_executions', 'workflow_executions_fill_owner'),
    ('workflows', 'workflows_set_updated_at'),
    ('workflow_executions', 'workflow_executions_set_updated_at'),
    ('workflow_triggers', 'workflow_triggers_set_updated_at'),
    ('workflow_actions', 'workflow_actions_set_updated_at')
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
    ('workflows', '{SELECT,INSERT,UPDATE,DELETE}'::text[], '{SELECT,INSERT,UPDATE,DELETE}'::text[]),
    ('workflow_executions', '{SELECT}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('workflow_triggers', '{SELECT,INSERT,UPDATE,DELETE}', '{SELECT,INSERT,UPDATE,DELETE}'),
    ('workflow_actions', '{SELECT,INSERT,UPDATE,DELETE}', '{SELECT,INSERT,UPDATE,DELETE}')
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
    ('workflows_sync_active', '', '{}'::text[]),
    ('workflow_executions_fill_owner', '', '{}')
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

-- name: neither_name_has_a_default
-- The trigger fills it in: with a default on one column an INSERT that names the
-- other could not be told from one that names both.
SELECT count(*) = 0 AS passed, 'none' AS expected, coalesce(string_agg(col.attname, ', ' ORDER BY col.attname), 'none') AS found
FROM pg_catalog.pg_attribute AS col
JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'workflows'
  AND col.attname IN ('active', 'enabled') AND col.atthasdef;

-- name: both_names_hold_the_same
SELECT count(*) = 0 AS passed, '0 rows differ' AS expected, format('%s rows differ', count(*)) AS found
FROM workflows
WHERE active IS DISTINCT FROM enabled;
