-- name: documented_query runs
SELECT model_name, AVG(response_time_ms) as avg_response,
       AVG(total_tokens) as avg_tokens
FROM model_performance_metrics
GROUP BY model_name;

-- name: columns
SELECT count(*) FILTER (WHERE a.attname IS NULL) = 0 AS passed, 'every column' AS expected,
       coalesce('missing: ' || string_agg(listed.tab || '.' || wanted.col, ', ') FILTER (WHERE a.attname IS NULL), 'every column') AS found
FROM (VALUES
    ('model_performance_metrics', '{id,user_id,conversation_id,message_id,provider,model_name,model,task_type,task_complexity,response_time_ms,total_tokens,tokens_used,input_tokens,output_tokens,success,error_message,user_rating,quality_score,metadata,timestamp}')
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
FROM unnest(ARRAY['model_performance_metrics_pkey', 'model_performance_metrics_provider_check',
                  'model_performance_metrics_task_type_check', 'model_performance_metrics_task_complexity_check',
                  'model_performance_metrics_response_time_ms_check', 'model_performance_metrics_total_tokens_check',
                  'model_performance_metrics_input_tokens_check', 'model_performance_metrics_output_tokens_check',
                  'model_performance_metrics_user_rating_check', 'model_performance_metrics_quality_score_check']) AS wanted (name)
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
    ('model_performance_metrics', 'model_performance_metrics_user_id_fkey', 'user_id', 'users', 'id'),
    ('model_performance_metrics', 'model_performance_metrics_conversation_id_fkey', 'conversation_id', 'conversations', 'id')
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
FROM unnest(ARRAY['idx_model_performance_metrics_user_id', 'idx_model_performance_metrics_conversation_id',
                  'idx_model_performance_metrics_model_name', 'idx_model_performance_metrics_model',
                  'idx_model_performance_metrics_task_type', 'idx_model_performance_metrics_timestamp',
                  'idx_model_performance_metrics_failures']) AS wanted (name)
LEFT JOIN LATERAL (
    SELECT ind.indexrelid, ind.indisvalid FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
    LIMIT 1
) AS i ON true;

-- name: triggers_are_enabled
SELECT count(*) FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O') = 0 AS passed, 'every trigger, enabled' AS expected,
       coalesce('missing or disabled: ' || string_agg(wanted.name, ', ') FILTER (WHERE t.tgenabled IS DISTINCT FROM 'O'), 'every trigger, enabled') AS found
FROM unnest(ARRAY['model_performance_metrics_sync_model_name', 'model_performance_metrics_sync_total_tokens']) AS wanted (name)
LEFT JOIN pg_catalog.pg_trigger AS t
    ON t.tgname = wanted.name
       AND (SELECT c.relnamespace FROM pg_catalog.pg_class AS c WHERE c.oid = t.tgrelid) = quote_ident(current_schema())::regnamespace;

-- name: views_run_by_the_rights_of_the_caller
SELECT count(*) FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))) = 0 AS passed,
       'every view, with security_invoker' AS expected,
       coalesce('missing or open: ' || string_agg(wanted.name, ', ')
                FILTER (WHERE c.oid IS NULL OR NOT 'security_invoker=true' = ANY (coalesce(c.reloptions, '{}'))), 'every view') AS found
FROM unnest(ARRAY['model_performance_summary', 'model_error_rates']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c
    ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name AND c.relkind = 'v';

-- name: row_level_security
SELECT count(*) FILTER (WHERE c.relrowsecurity IS NOT TRUE) = 0 AS passed, 'on for every table' AS expected,
       coalesce('off for ' || string_agg(wanted.name, ', ') FILTER (WHERE c.relrowsecurity IS NOT TRUE), 'on for every table') AS found
FROM unnest(ARRAY['model_performance_metrics']) AS wanted (name)
LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = wanted.name;

-- name: policies
-- One that compares a column that is not text yet waits for the repairs.
SELECT count(*) FILTER (WHERE p.policyname IS NULL) = 0 AS passed, 'every policy' AS expected,
       coalesce('missing: ' || string_agg(wanted.name, ', ') FILTER (WHERE p.policyname IS NULL), 'every policy') AS found
FROM (VALUES
    ('model_performance_metrics', 'model_performance_metrics_owner_read', ARRAY['model_performance_metrics.user_id']),
    ('model_performance_metrics', 'model_performance_metrics_owner_rate', ARRAY['model_performance_metrics.user_id'])
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

-- name: two_names_agree
SELECT count(*) = 0 AS passed, '0 rows that disagree' AS expected, count(*) || ' rows that disagree' AS found
FROM model_performance_metrics WHERE model_name IS DISTINCT FROM model OR total_tokens IS DISTINCT FROM tokens_used;
