-- Takes back api-logs-table.sql.
DROP TABLE IF EXISTS api_logs;
