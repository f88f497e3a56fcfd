-- name: documented_query runs
SELECT * FROM backups ORDER BY created_at DESC LIMIT 10;
