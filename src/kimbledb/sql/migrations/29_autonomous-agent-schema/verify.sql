-- name: documented_query runs
SELECT status, COUNT(*) FROM agent_tasks GROUP BY status;

-- name: recurrence_is_understood
SELECT agent_next_run('daily', now() - interval '1 hour') = now() - interval '1 hour' + interval '1 day'
           AND agent_next_run('every 15 minutes', now()) = now() + interval '15 minutes'
           AND agent_next_run('hourly', now() - interval '1 year') = now() + interval '1 hour'
           AND agent_next_run(NULL, now()) IS NULL
           AND agent_next_run('0 3 * * *', now()) IS NULL
           AND agent_next_run('never', now()) IS NULL AS passed;
