GRANT SELECT, INSERT, UPDATE, DELETE ON file_relationships, file_sources TO authenticated, service_role;
GRANT SELECT ON duplicate_files TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION link_duplicate_files() TO authenticated, service_role;
