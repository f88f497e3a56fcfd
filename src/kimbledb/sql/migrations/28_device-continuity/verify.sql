-- name: documented_query runs
SELECT * FROM devices WHERE last_seen_at > NOW() - INTERVAL '1 hour';
