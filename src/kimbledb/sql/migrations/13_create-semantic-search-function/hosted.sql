GRANT EXECUTE
    ON FUNCTION project_of_content(text), nearest_content(text, vector, double precision, integer, text, text),
       search_knowledge_base(vector, double precision, integer, text, text, text, double precision, text),
       search_all_content(vector, text, double precision, integer, text, text[])
    TO authenticated, service_role;
