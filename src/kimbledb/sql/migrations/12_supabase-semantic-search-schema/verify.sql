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
SELECT coalesce(sum(slow.slow_searches), 0)
           = (SELECT count(*) FROM semantic_search_log WHERE duration_ms >= 0) AS passed,
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
