GRANT SELECT ON backups TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON backups TO service_role;
GRANT SELECT ON restore_points TO authenticated, service_role;
GRANT EXECUTE
    ON FUNCTION make_restore_point(text, text, timestamptz), release_restore_point(text), purge_expired_backups()
    TO service_role;
