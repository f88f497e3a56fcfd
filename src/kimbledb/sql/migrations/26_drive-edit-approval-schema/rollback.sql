-- Takes back drive-edit-approval-schema.sql.
DROP FUNCTION IF EXISTS expire_drive_edit_requests();
DROP TABLE IF EXISTS drive_edit_audit_log;
DROP TABLE IF EXISTS drive_edit_requests;
DROP FUNCTION IF EXISTS drive_edit_audit_log_append_only();
DROP FUNCTION IF EXISTS drive_edit_requests_record();
DROP FUNCTION IF EXISTS drive_edit_requests_guard();
DROP FUNCTION IF EXISTS drive_edit_transition_allowed(text, text);
