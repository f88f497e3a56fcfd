-- name: documented_query runs
SELECT * FROM indexing_state ORDER BY last_indexed_at DESC;
