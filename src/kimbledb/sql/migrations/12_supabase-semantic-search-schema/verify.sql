-- name: metadata_columns_have_their_types
SELECT bool_and(there.type IS NOT DISTINCT FROM wanted.type) AS passed,
       string_agg(format('%s.%s %s', wanted.tab, wanted.col, wanted.type), ', ' ORDER BY wanted.tab, wanted.col) AS expected,
       string_agg(format('%s.%s %s', wanted.tab, wanted.col, coalesce(there.type, 'missing')), ', ' ORDER BY wanted.tab, wanted.col) AS found
FROM (VALUES
    ('semantic_search_metadata', 'id', 'uuid not null'),
    ('semantic_search_metadata', 'user_id', 'text'),
    ('semantic_search_metadata', 'source_table', 'text not null'),
    ('semantic_search_metadata', 'source_id', 'text not null'),
    ('semantic_search_metadata', 'embedding_model', 'text'),
    ('semantic_search_metadata', 'embedding_dimensions', 'integer not null'),
    ('semantic_search_metadata', 'content_hash', 'text'),
    ('semantic_search_metadata', 'content_length', 'integer'),
    ('semantic_search_metadata', 'token_count', 'integer'),
    ('semantic_search_metadata', 'status', 'text not null'),
    ('semantic_search_metadata', 'attempts', 'integer not null'),
    ('semantic_search_metadata', 'error_message', 'text'),
    ('semantic_search_metadata', 'embedded_at', 'timestamp with time zone'),
    ('semantic_search_metadata', 'metadata', 'jsonb not null'),
    ('semantic_search_metadata', 'created_at', 'timestamp with time zone not null'),
    ('semantic_search_metadata', 'updated_at', 'timestamp with time zone not null')
) AS wanted (tab, col, type)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) || CASE WHEN col.attnotnull THEN ' not null' ELSE '' END AS type
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
      AND col.attnum > 0 AND NOT col.attisdropped
    LIMIT 1
) AS there ON true;

-- name: log_columns_have_their_types
SELECT bool_and(there.type IS NOT DISTINCT FROM wanted.type) AS passed,
       string_agg(format('%s.%s %s', wanted.tab, wanted.col, wanted.type), ', ' ORDER BY wanted.tab, wanted.col) AS expected,
       string_agg(format('%s.%s %s', wanted.tab, wanted.col, coalesce(there.type, 'missing')), ', ' ORDER BY wanted.tab, wanted.col) AS found
FROM (VALUES
    ('semantic_search_log', 'id', 'bigint not null'),
    ('semantic_search_log', 'user_id', 'text'),
    ('semantic_search_log', 'source_table', 'text not null'),
    ('semantic_search_log', 'query_text', 'text'),
    ('semantic_search_log', 'embedding_model', 'text'),
    ('semantic_search_log', 'match_threshold', 'double precision'),
    ('semantic_search_log', 'match_count', 'integer'),
    ('semantic_search_log', 'result_count', 'integer'),
    ('semantic_search_log', 'top_similarity', 'double precision'),
    ('semantic_search_log', 'ef_search', 'integer'),
    ('semantic_search_log', 'embedding_ms', 'double precision'),
    ('semantic_search_log', 'duration_ms', 'double precision'),
    ('semantic_search_log', 'error_message', 'text'),
    ('semantic_search_log', 'metadata', 'jsonb not null'),
    ('semantic_search_log', 'created_at', 'timestamp with time zone not null')
) AS wanted (tab, col, type)
LEFT JOIN LATERAL (
    SELECT format_type(col.atttypid, col.atttypmod) || CASE WHEN col.attnotnull THEN ' not null' ELSE '' END AS type
    FROM pg_catalog.pg_attribute AS col
    WHERE col.attrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND col.attname = wanted.col
      AND col.attnum > 0 AND NOT col.attisdropped
    LIMIT 1
) AS there ON true;

-- name: constraints_are_there_and_validated
SELECT bool_and(there.convalidated IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.conname IS NULL THEN 'missing' ELSE 'not validated' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.convalidated IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('semantic_search_metadata', 'semantic_search_metadata_pkey'),
    ('semantic_search_metadata', 'semantic_search_metadata_source_table_source_id_key'),
    ('semantic_search_metadata', 'semantic_search_metadata_source_table_check'),
    ('semantic_search_metadata', 'semantic_search_metadata_embedding_dimensions_check'),
    ('semantic_search_metadata', 'semantic_search_metadata_content_length_check'),
    ('semantic_search_metadata', 'semantic_search_metadata_token_count_check'),
    ('semantic_search_metadata', 'semantic_search_metadata_status_check'),
    ('semantic_search_metadata', 'semantic_search_metadata_attempts_check'),
    ('semantic_search_metadata', 'semantic_search_metadata_user_id_fkey'),
    ('semantic_search_log', 'semantic_search_log_pkey'),
    ('semantic_search_log', 'semantic_search_log_match_threshold_check'),
    ('semantic_search_log', 'semantic_search_log_match_count_check'),
    ('semantic_search_log', 'semantic_search_log_result_count_check'),
    ('semantic_search_log', 'semantic_search_log_top_similarity_check'),
    ('semantic_search_log', 'semantic_search_log_ef_search_check'),
    ('semantic_search_log', 'semantic_search_log_embedding_ms_check'),
    ('semantic_search_log', 'semantic_search_log_duration_ms_check'),
    ('semantic_search_log', 'semantic_search_log_user_id_fkey')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT con.conname, con.convalidated
    FROM pg_catalog.pg_constraint AS con
    WHERE con.conrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND con.conname = wanted.name
    LIMIT 1
) AS there ON true;

-- name: indexes_are_valid
SELECT bool_and(there.usable IS TRUE) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s %s', wanted.name, CASE WHEN there.name IS NULL THEN 'missing' ELSE 'invalid' END), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.usable IS NOT TRUE), 'all') AS found
FROM (VALUES
    ('semantic_search_metadata', 'idx_semantic_search_metadata_user_id_source_table'),
    ('semantic_search_metadata', 'idx_semantic_search_metadata_status_updated_at'),
    ('semantic_search_log', 'idx_semantic_search_log_user_id_created_at'),
    ('semantic_search_log', 'idx_semantic_search_log_created_at')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT wanted.name, ind.indisvalid AND ind.indisready AS usable
    FROM pg_catalog.pg_index AS ind
    WHERE ind.indexrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.name)
      AND ind.indrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab)
    LIMIT 1
) AS there ON true;

-- name: updated_at_is_kept
SELECT bool_and(there.tgenabled IN ('O', 'A')) IS TRUE AND count(there.tgenabled) = count(*) AS passed,
       string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name) AS expected,
       coalesce(string_agg(format('%s on %s', wanted.name, wanted.tab), ', ' ORDER BY wanted.name)
                    FILTER (WHERE there.tgenabled IN ('O', 'A')), 'none') AS found
FROM (VALUES
    ('semantic_search_metadata', 'semantic_search_metadata_set_updated_at')
) AS wanted (tab, name)
LEFT JOIN LATERAL (
    SELECT trg.tgenabled
    FROM pg_catalog.pg_trigger AS trg
    WHERE trg.tgrelid = to_regclass(quote_ident(current_schema()) || '.' || wanted.tab) AND trg.tgname = wanted.name AND NOT trg.tgisinternal
    LIMIT 1
) AS there ON true;

-- name: people_read_their_own_rows_only
SELECT count(*) = 2 AND bool_and(tab.relrowsecurity) AND bool_and(pol.polcmd = 'r' AND pol.polqual IS NOT NULL) IS TRUE
           AND count(pol.oid) = 2 AS passed,
       'row level security and a policy for SELECT on semantic_search_log and semantic_search_metadata' AS expected,
       coalesce(string_agg(format('%s: row level security %s, %s', tab.relname,
                                  CASE WHEN tab.relrowsecurity THEN 'on' ELSE 'off' END, coalesce(pol.polname, 'no policy')),
                           '; ' ORDER BY tab.relname), 'no such tables') AS found
FROM pg_catalog.pg_class AS tab
LEFT JOIN pg_catalog.pg_policy AS pol ON pol.polrelid = tab.oid AND pol.polname = tab.relname || '_owner_read'
WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relkind = 'r'
  AND tab.relname IN ('semantic_search_log', 'semantic_search_metadata');

-- name: views_run_with_the_rights_of_their_reader
SELECT count(*) = 2 AND bool_and(('security_invoker=true' = ANY (viw.reloptions)) IS TRUE) AS passed,
       'embedding_coverage, semantic_search_performance: security_invoker' AS expected,
       coalesce(string_agg(format('%s: %s', viw.relname, coalesce(viw.reloptions::text, 'no options')), ', ' ORDER BY viw.relname), 'no such views') AS found
FROM pg_catalog.pg_class AS viw
WHERE viw.relnamespace = quote_ident(current_schema())::regnamespace AND viw.relkind = 'v'
  AND viw.relname IN ('embedding_coverage', 'semantic_search_performance');

-- name: performance_is_tracked
-- The days of the view add up to the rows of the log.
SELECT coalesce(sum(perf.searches), 0) = (SELECT count(*) FROM semantic_search_log) AS passed,
       (SELECT format('%s searches', count(*)) FROM semantic_search_log) AS expected,
       format('%s searches', coalesce(sum(perf.searches), 0)) AS found
FROM semantic_search_performance AS perf;

-- name: coverage_counts_every_searched_table
SELECT count(*) = 6 AND bool_and(cov.embedded_rows + cov.missing_rows = cov.total_rows) AS passed,
       'audio_transcriptions, conversations, files, knowledge_base, messages, projects' AS expected,
       string_agg(cov.source_table, ', ' ORDER BY cov.source_table) AS found
FROM embedding_coverage AS cov;

-- name: slow_searches_can_be_asked_for
-- Of all searches ever, those of 0 ms and more are the ones with a duration.
SELECT coalesce(sum(slow.slow_searches), 0) = (SELECT count(*) FROM semantic_search_log WHERE duration_ms >= 0) AS passed,
       (SELECT format('%s searches', count(*)) FROM semantic_search_log WHERE duration_ms >= 0) AS expected,
       format('%s searches', coalesce(sum(slow.slow_searches), 0)) AS found
FROM slow_semantic_searches(0, '1000 years', 2147483647) AS slow;

-- name: index_health_sees_every_vector_index
SELECT bool_and(health.index_name IS NOT NULL AND health.advice IS NOT NULL) AS passed,
       string_agg(wanted.name, ', ' ORDER BY wanted.name) AS expected,
       string_agg(health.index_name || ': ' || health.advice, ', ' ORDER BY wanted.name) AS found
FROM (VALUES
    ('idx_audio_transcriptions_embedding'),
    ('idx_conversations_embedding'),
    ('idx_files_embedding'),
    ('idx_projects_embedding')
) AS wanted (name)
LEFT JOIN vector_index_health() AS health ON health.index_name = wanted.name;

-- name: functions_are_pinned_and_closed_to_the_public
-- recommend_ef_search() is only looked at: it measures, which takes its time.
SELECT count(*) = 3 AND bool_and(fun.found = 'search_path pinned, rights of the caller, closed') IS TRUE AS passed,
       'recommend_ef_search, slow_semantic_searches, vector_index_health: search_path pinned, rights of the caller, closed' AS expected,
       coalesce(string_agg(format('%s: %s', fun.proname, fun.found), '; ' ORDER BY fun.proname), 'no such functions') AS found
FROM (
    SELECT pro.proname,
           format('search_path %s, rights of the %s, %s',
                  CASE WHEN EXISTS (SELECT FROM unnest(pro.proconfig) AS setting WHERE setting LIKE 'search_path=%') THEN 'pinned' ELSE 'not pinned' END,
                  CASE WHEN pro.prosecdef THEN 'owner' ELSE 'caller' END,
                  CASE WHEN EXISTS (
                      SELECT FROM aclexplode(coalesce(pro.proacl, acldefault('f', pro.proowner))) AS acl
                      LEFT JOIN pg_catalog.pg_roles AS grantee ON grantee.oid = acl.grantee
                      WHERE acl.grantee = 0 OR grantee.rolname = 'anon') THEN 'open' ELSE 'closed' END) AS found
    FROM pg_catalog.pg_proc AS pro
    WHERE pro.pronamespace = quote_ident(current_schema())::regnamespace
      AND pro.proname IN ('recommend_ef_search', 'slow_semantic_searches', 'vector_index_health')
) AS fun;
