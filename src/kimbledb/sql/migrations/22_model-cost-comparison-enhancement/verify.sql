-- name: columns
SELECT count(*) = 1 AS passed, 'model_performance_metrics.cost_usd numeric(10,6)' AS expected,
       coalesce(string_agg(format_type(a.atttypid, a.atttypmod), ', '), 'missing') AS found
FROM pg_catalog.pg_attribute AS a
JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'model_performance_metrics' AND a.attname = 'cost_usd'
  AND NOT a.attisdropped AND format_type(a.atttypid, a.atttypmod) = 'numeric(10,6)';

-- name: constraints
SELECT count(*) FILTER (WHERE k.convalidated IS NOT TRUE) = 0 AS passed, 'every constraint' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE k.convalidated IS NOT TRUE), 'every constraint') AS found
FROM unnest(ARRAY['model_performance_metrics_cost_usd_check']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT con.convalidated FROM pg_catalog.pg_constraint AS con
    WHERE con.connamespace = quote_ident(current_schema())::regnamespace AND con.conname = wanted.name
    OFFSET 0  -- each by the index
) AS k ON true;

-- name: indexes
SELECT count(*) FILTER (WHERE i.indisvalid IS NOT TRUE) = 0 AS passed, 'every index, valid' AS expected,
       coalesce('missing or invalid: ' || string_agg(wanted.name, ', ') FILTER (WHERE i.indisvalid IS NOT TRUE), 'every index, valid') AS found
FROM unnest(ARRAY['idx_model_performance_metrics_cost']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: views_run_by_the_rights_of_the_caller
SELECT count(*) FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))) = 0 AS passed,
       'every view, with security_invoker' AS expected,
       coalesce('missing or open: ' || string_agg(wanted.name, ', ')
                FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))), 'every view') AS found
FROM unnest(ARRAY['model_task_costs']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name AND c.relkind = 'v';

-- name: functions
SELECT count(*) FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')) = 0 AS passed,
       'every function, by the rights of the caller, its search_path pinned' AS expected,
       coalesce('missing or otherwise: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.oid IS NULL OR p.prosecdef OR NOT EXISTS (
           SELECT FROM unnest(p.proconfig) AS setting WHERE setting LIKE 'search\_path=%')), 'every function') AS found
FROM unnest(ARRAY[
                  'model_performance_metrics_price()',
                  'recommend_model(for_task_type text, for_task_complexity text, most_cost_usd numeric, least_requests integer)',
                  'suggest_budget_savings(over_days integer, least_requests integer)']) AS wanted (name)
LEFT JOIN pg_catalog.pg_proc AS p ON p.pronamespace = quote_ident(current_schema())::regnamespace
    AND p.proname = split_part(wanted.name, '(', 1) AND p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' = wanted.name;

-- name: recommendations_are_ranked
SELECT coalesce(bool_and(value_score <= before), true) AS passed
FROM (SELECT value_score, lag(value_score, 1, 1::numeric) OVER () AS before FROM recommend_model('coding')) AS ranked;

-- name: suggestions_save
SELECT coalesce(bool_and(saving_usd >= 0 AND projected_cost_usd <= current_cost_usd), true) AS passed FROM suggest_budget_savings();

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['model_performance_metrics_price']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace;
