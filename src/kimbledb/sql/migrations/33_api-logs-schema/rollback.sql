-- Takes back api-logs-schema.sql; the table and its rows stay as api-logs-table.sql made them.
DROP VIEW IF EXISTS api_rate_limit_usage;
DROP VIEW IF EXISTS api_error_summary;
DROP VIEW IF EXISTS api_endpoint_performance;
DROP FUNCTION IF EXISTS purge_api_rate_limits(interval);
DROP FUNCTION IF EXISTS count_api_request(text, text, integer, integer);
DROP TABLE IF EXISTS api_rate_limits;
DROP TRIGGER IF EXISTS api_logs_categorize_error ON api_logs;
DROP FUNCTION IF EXISTS api_logs_categorize_error();
DROP FUNCTION IF EXISTS api_error_category(integer, text);
DROP INDEX IF EXISTS idx_api_logs_request_id;
DROP INDEX IF EXISTS idx_api_logs_session_id_created_at;
DROP INDEX IF EXISTS idx_api_logs_error_category_created_at;
ALTER TABLE IF EXISTS api_logs
    DROP COLUMN IF EXISTS rate_limit_reset_at,
    DROP COLUMN IF EXISTS rate_limit_remaining,
    DROP COLUMN IF EXISTS rate_limit,
    DROP COLUMN IF EXISTS rate_limited,
    DROP COLUMN IF EXISTS stack_trace,
    DROP COLUMN IF EXISTS error_code,
    DROP COLUMN IF EXISTS error_category,
    DROP COLUMN IF EXISTS cache_hit,
    DROP COLUMN IF EXISTS upstream_time_ms,
    DROP COLUMN IF EXISTS database_time_ms,
    DROP COLUMN IF EXISTS response_size_bytes,
    DROP COLUMN IF EXISTS request_size_bytes,
    DROP COLUMN IF EXISTS metadata,
    DROP COLUMN IF EXISTS response_body,
    DROP COLUMN IF EXISTS request_body,
    DROP COLUMN IF EXISTS headers,
    DROP COLUMN IF EXISTS query_params,
    DROP COLUMN IF EXISTS environment,
    DROP COLUMN IF EXISTS request_id,
    DROP COLUMN IF EXISTS session_id;
