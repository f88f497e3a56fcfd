-- name: documented_query runs
SELECT * FROM api_cost_tracking ORDER BY timestamp DESC LIMIT 10;

-- name: documented_query_of_budgets runs
SELECT * FROM budget_config;

-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(listed.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES
    ('api_cost_tracking', '{id,user_id,provider,model,endpoint,input_tokens,output_tokens,tokens_used,cost_usd,cached,request_time_ms,metadata,timestamp}'),
    ('budget_config', '{id,user_id,monthly_limit,daily_limit,hourly_limit,hard_stop_enabled,alert_at_50,alert_at_75,alert_at_90,alert_email,alert_webhook,created_at,updated_at}'),
    ('budget_alerts', '{id,user_id,severity,percent_used,message,status,period,period_start,threshold,acknowledged,acknowledged_at,acknowledged_by,timestamp}'),
    ('cost_models', '{id,provider,model,input_cost_per_million,output_cost_per_million,cached_input_cost_per_million,context_window,valid_from,valid_to,metadata,created_at,updated_at}')
) AS listed (tab, cols)
CROSS JOIN LATERAL unnest(listed.cols::text[]) AS wanted (col)
LEFT JOIN LATERAL (
    SELECT col.attname FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || listed.tab) AND col.attname = wanted.col AND NOT col.attisdropped
    LIMIT 1
) AS a ON true;

-- name: constraints
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed, 'every constraint' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'every constraint') AS found
FROM unnest(ARRAY['api_cost_tracking_pkey', 'api_cost_tracking_input_tokens_check',
                  'api_cost_tracking_output_tokens_check', 'api_cost_tracking_tokens_used_check',
                  'api_cost_tracking_cost_usd_check', 'api_cost_tracking_request_time_ms_check', 'budget_config_pkey',
                  'budget_config_user_id_key', 'budget_config_monthly_limit_check', 'budget_config_daily_limit_check',
                  'budget_config_hourly_limit_check', 'budget_alerts_pkey', 'budget_alerts_severity_check',
                  'budget_alerts_percent_used_check', 'budget_alerts_period_check', 'cost_models_pkey',
                  'cost_models_provider_model_valid_from_key', 'cost_models_input_cost_per_million_check',
                  'cost_models_output_cost_per_million_check', 'cost_models_cached_input_cost_per_million_check',
                  'cost_models_valid_to_check']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.connamespace = quote_ident(current_schema())::regnamespace AND con.conname = wanted.name
    OFFSET 0  -- each by the index
) AS k ON true;

-- name: keys_are_validated
-- Between columns of two types (a database from before) a key waits for the repairs.
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed, 'every key between columns of one type, validated' AS expected,
       coalesce('missing or not validated: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'every key') AS found
FROM (VALUES
    ('api_cost_tracking', 'api_cost_tracking_user_id_fkey', 'user_id', 'users', 'id'),
    ('budget_config', 'budget_config_user_id_fkey', 'user_id', 'users', 'id'),
    ('budget_alerts', 'budget_alerts_user_id_fkey', 'user_id', 'users', 'id')
) AS wanted (tab, name, col, parent, parent_col)
JOIN LATERAL (
    SELECT col.attrelid, col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
    LIMIT 1
) AS a ON true
JOIN LATERAL (
    SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.parent) AND col.attname = wanted.parent_col
    LIMIT 1
) AS b ON b.atttypid = a.atttypid
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = a.attrelid AND con.conname = wanted.name AND con.contype = 'f'
    LIMIT 1
) AS k ON true;

-- name: indexes
SELECT count(*) FILTER (WHERE i.indisvalid IS NOT TRUE) = 0 AS passed, 'every index, valid' AS expected,
       coalesce('missing or invalid: ' || string_agg(wanted.name, ', ') FILTER (WHERE i.indisvalid IS NOT TRUE), 'every index, valid') AS found
FROM unnest(ARRAY['idx_api_cost_tracking_user_id', 'idx_api_cost_tracking_timestamp', 'idx_api_cost_tracking_model',
                  'idx_budget_alerts_user_id', 'idx_budget_alerts_once', 'idx_cost_models_current']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['api_cost_tracking_alert', 'budget_config_set_updated_at', 'cost_models_set_updated_at']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace;

-- name: functions
SELECT count(*) FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')) = 0 AS passed,
       'every function, by the rights of the caller, its search_path pinned' AS expected,
       coalesce('missing or otherwise: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')), 'every function') AS found
FROM unnest(ARRAY['api_cost_tracking_alert()']) AS wanted (name)
LEFT JOIN pg_catalog.pg_proc AS p ON p.pronamespace = quote_ident(current_schema())::regnamespace
    AND p.proname = split_part(wanted.name, '(', 1) AND p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' = wanted.name;

-- name: views_run_by_the_rights_of_the_caller
SELECT count(*) FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))) = 0 AS passed,
       'every view, with security_invoker' AS expected,
       coalesce('missing or open: ' || string_agg(wanted.name, ', ')
                FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))), 'every view') AS found
FROM unnest(ARRAY['daily_costs', 'monthly_costs']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name AND c.relkind = 'v';

-- name: row_level_security
SELECT count(*) FILTER (WHERE c.relrowsecurity IS NOT TRUE) = 0 AS passed, 'on for every table' AS expected,
       coalesce('off for ' || string_agg(wanted.name, ', ') FILTER (WHERE c.relrowsecurity IS NOT TRUE), 'on for every table') AS found
FROM unnest(ARRAY['api_cost_tracking', 'budget_config', 'budget_alerts', 'cost_models']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name;

-- name: policies
-- One that compares a column that is not text yet waits for the repairs.
SELECT count(*) FILTER (WHERE p.policyname IS NULL) = 0 AS passed, 'every policy' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.policyname IS NULL), 'every policy') AS found
FROM (VALUES
    ('api_cost_tracking', 'api_cost_tracking_owner_read', ARRAY['api_cost_tracking.user_id']),
    ('budget_config', 'budget_config_owner', ARRAY['budget_config.user_id']),
    ('budget_alerts', 'budget_alerts_owner_read', ARRAY['budget_alerts.user_id']),
    ('budget_alerts', 'budget_alerts_owner_acknowledge', ARRAY['budget_alerts.user_id'])
) AS wanted (tab, name, compares)
LEFT JOIN LATERAL (
    SELECT pol.polname AS policyname FROM pg_catalog.pg_policy AS pol
    WHERE pol.polrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND pol.polname = wanted.name
    LIMIT 1
) AS p ON true
WHERE NOT EXISTS (
    SELECT FROM unnest(wanted.compares) AS compared (name)
    WHERE (SELECT col.atttypid FROM pg_catalog.pg_attribute AS col
           WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || split_part(compared.name, '.', 1))
             AND col.attname = split_part(compared.name, '.', 2) AND NOT col.attisdropped) <> 'text'::regtype);

-- name: views_add_up
SELECT coalesce((SELECT sum(cost_usd) FROM daily_costs), 0) = coalesce((SELECT sum(cost_usd) FROM api_cost_tracking), 0)
   AND coalesce((SELECT sum(cost_usd) FROM monthly_costs), 0) = coalesce((SELECT sum(cost_usd) FROM api_cost_tracking), 0) AS passed;
