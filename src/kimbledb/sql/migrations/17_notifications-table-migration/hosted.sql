GRANT SELECT, DELETE, UPDATE (read, status) ON notifications TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON notifications TO service_role;
