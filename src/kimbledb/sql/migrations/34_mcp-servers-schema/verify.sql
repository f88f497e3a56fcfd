-- name: documented_query runs
SELECT name, status, last_health_check
FROM mcp_servers
WHERE active = true;

-- name: both_names_hold_the_same
SELECT count(*) = 0 AS passed, '0 rows differ' AS expected, format('%s rows differ', count(*)) AS found
FROM mcp_servers
WHERE active IS DISTINCT FROM enabled;

-- name: no_server_is_behind_its_checks
SELECT count(*) = 0 AS passed, '0 servers' AS expected, format('%s servers', count(*)) AS found
FROM mcp_servers AS server
WHERE server.last_health_check < (
    SELECT max(probe.checked_at) FROM mcp_health_checks AS probe WHERE probe.server_id = server.id);
