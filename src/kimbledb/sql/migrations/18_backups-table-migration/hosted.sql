GRANT SELECT ON backups TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON backups TO service_role;
GRANT SELECT ON restore_points TO authenticated, service_role;
