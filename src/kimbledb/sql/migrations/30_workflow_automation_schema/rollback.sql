-- Takes back workflow_automation_schema.sql.
DROP TABLE IF EXISTS workflow_actions;
DROP TABLE IF EXISTS workflow_triggers;
DROP TABLE IF EXISTS workflow_executions;
DROP TABLE IF EXISTS workflows;
DROP FUNCTION IF EXISTS workflow_executions_fill_owner();
DROP FUNCTION IF EXISTS workflows_sync_active();
