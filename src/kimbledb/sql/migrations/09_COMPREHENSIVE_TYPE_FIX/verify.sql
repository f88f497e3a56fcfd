-- name: documented_query runs
SELECT table_name, column_name, data_type
FROM information_schema.columns
WHERE column_name = 'project_id' AND table_schema = current_schema()
ORDER BY table_name;
