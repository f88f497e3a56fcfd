-- name: documented_query runs
SELECT * FROM workflows WHERE active = true;

-- name: both_names_hold_the_same
SELECT count(*) = 0 AS passed, '0 rows differ' AS expected, format('%s rows differ', count(*)) AS found
FROM workflows
WHERE active IS DISTINCT FROM enabled;
