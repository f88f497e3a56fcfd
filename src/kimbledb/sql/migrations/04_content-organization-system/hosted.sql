GRANT SELECT, INSERT, UPDATE, DELETE ON categories TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION is_own_category(text) TO authenticated, service_role;
