-- People read what is theirs; the service writes both.
GRANT SELECT ON drive_edit_requests, drive_edit_audit_log TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON drive_edit_requests, drive_edit_audit_log TO service_role;
GRANT USAGE, SELECT ON SEQUENCE drive_edit_audit_log_id_seq TO service_role;
GRANT EXECUTE ON FUNCTION drive_edit_transition_allowed(text, text) TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION expire_drive_edit_requests() TO service_role;
