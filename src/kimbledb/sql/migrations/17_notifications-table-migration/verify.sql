-- name: documented_query runs
SELECT * FROM notifications WHERE read = false ORDER BY created_at DESC;
