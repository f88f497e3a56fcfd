-- name: documented_query runs
SELECT status, COUNT(*) FROM agent_tasks GROUP BY status;
