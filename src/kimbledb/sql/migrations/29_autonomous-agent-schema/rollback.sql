-- Takes back autonomous-agent-schema.sql.
DROP FUNCTION IF EXISTS finish_agent_task(uuid, text, text, text, text[]);
DROP FUNCTION IF EXISTS claim_agent_task(text[], interval);
DROP FUNCTION IF EXISTS agent_next_run(text, timestamp with time zone);
DROP TABLE IF EXISTS agent_execution_log;
DROP TABLE IF EXISTS agent_findings;
DROP TABLE IF EXISTS agent_tasks;
DROP FUNCTION IF EXISTS agent_tasks_record_execution();
