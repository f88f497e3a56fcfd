GRANT SELECT, INSERT, UPDATE, DELETE ON categories TO authenticated, service_role;
