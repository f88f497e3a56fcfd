-- For the service alone.
GRANT SELECT, INSERT, UPDATE, DELETE ON agent_tasks, agent_findings, agent_execution_log TO service_role;
GRANT USAGE, SELECT ON SEQUENCE agent_execution_log_id_seq TO service_role;
GRANT EXECUTE
    ON FUNCTION
        agent_next_run(text, timestamptz),
        claim_agent_task(text[], interval),
        finish_agent_task(uuid, text, text, text, text[])
    TO service_role;
