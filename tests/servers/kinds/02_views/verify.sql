-- name: ranked runs
SELECT * FROM ranked;
