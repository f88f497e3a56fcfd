-- name: documented_query runs
SELECT * FROM user_tokens LIMIT 1;
