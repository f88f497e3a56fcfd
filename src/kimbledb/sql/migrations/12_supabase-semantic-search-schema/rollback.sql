-- Takes back supabase-semantic-search-schema.sql.
DROP FUNCTION IF EXISTS recommend_ef_search(double precision, integer, integer);
DROP FUNCTION IF EXISTS vector_index_health();
DROP FUNCTION IF EXISTS slow_semantic_searches(double precision, interval, integer);
DROP VIEW IF EXISTS embedding_coverage;
DROP VIEW IF EXISTS semantic_search_performance;
DROP TABLE IF EXISTS semantic_search_log;
DROP TABLE IF EXISTS semantic_search_metadata;
