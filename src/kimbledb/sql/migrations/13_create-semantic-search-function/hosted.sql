GRANT EXECUTE ON FUNCTION search_knowledge_base(vector, double precision, integer) TO authenticated, service_role;
