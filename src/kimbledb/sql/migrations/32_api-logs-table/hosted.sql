-- For the service alone.
GRANT SELECT, INSERT, UPDATE, DELETE ON api_logs TO service_role;
