-- name: documented_query runs
SELECT name, status, last_health_check
FROM mcp_servers
WHERE active = true;

-- name: both_names_hold_the_same
SELECT count(*) = 0 AS passed, '0 rows differ' AS expected, format('%s rows differ', count(*)) AS found
FROM mcp_servers
WHERE active IS DISTINCT FROM enabled;
