GRANT SELECT, INSERT, UPDATE, DELETE ON file_registry TO authenticated, service_role;
