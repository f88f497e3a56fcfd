-- For the service alone. api_logs has its grants from api-logs-table.sql.
GRANT SELECT, INSERT, UPDATE, DELETE ON api_rate_limits TO service_role;
GRANT SELECT ON api_endpoint_performance, api_error_summary, api_rate_limit_usage TO service_role;
GRANT EXECUTE
    ON FUNCTION
        api_error_category(integer, text),
        count_api_request(text, text, integer, integer),
        purge_api_rate_limits(interval)
    TO service_role;
