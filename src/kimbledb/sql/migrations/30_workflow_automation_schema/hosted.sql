-- People write their workflows, and read how the runs went.
GRANT SELECT, INSERT, UPDATE, DELETE ON workflows, workflow_triggers, workflow_actions TO authenticated;
GRANT SELECT ON workflow_executions TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE
    ON workflows, workflow_executions, workflow_triggers, workflow_actions
    TO service_role;
GRANT EXECUTE
    ON FUNCTION workflow_trigger_next_run(text, timestamptz, text, timestamptz, timestamptz)
    TO authenticated, service_role;
GRANT EXECUTE ON FUNCTION claim_workflow_triggers(integer) TO service_role;
