-- For the service alone.
GRANT SELECT, INSERT, UPDATE, DELETE ON agent_tasks, agent_findings, agent_execution_log TO service_role;
GRANT USAGE, SELECT ON SEQUENCE agent_execution_log_id_seq TO service_role;
GRANT EXECUTE
    ON FUNCTION
        fail_silent_agent_tasks(),
        claim_agent_task(text[], interval),
        agent_task_at_work(uuid, integer),
        renew_agent_task(uuid, integer, interval),
        finish_agent_task(uuid, text, text, text, text[], integer)
    TO service_role;
