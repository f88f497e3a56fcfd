-- People read what is theirs, and their searches are logged; the service writes, and measures.
GRANT SELECT
    ON semantic_search_metadata, semantic_search_log, semantic_search_performance, embedding_sources, embedding_coverage
    TO authenticated, service_role;
GRANT INSERT ON semantic_search_log TO authenticated;
GRANT EXECUTE ON FUNCTION log_semantic_search(
    text, text, text, double precision, integer, integer, double precision, timestamptz, jsonb)
    TO authenticated, service_role;
GRANT INSERT, UPDATE, DELETE ON semantic_search_metadata, semantic_search_log TO service_role;
GRANT USAGE, SELECT ON SEQUENCE semantic_search_log_id_seq TO service_role;
GRANT EXECUTE ON FUNCTION slow_semantic_searches(double precision, interval, integer) TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION vector_index_health(), recommend_ef_search(double precision, integer, integer)
    TO service_role;
