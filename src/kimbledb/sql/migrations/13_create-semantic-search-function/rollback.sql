-- Takes back create-semantic-search-function.sql.
DROP FUNCTION IF EXISTS search_knowledge_base(vector, double precision, integer);
