-- The same where there are logged calls already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE api_logs
    ADD COLUMN IF NOT EXISTS session_id text,
    ADD COLUMN IF NOT EXISTS request_id text,
    ADD COLUMN IF NOT EXISTS environment text,
    ADD COLUMN IF NOT EXISTS query_params jsonb,
    ADD COLUMN IF NOT EXISTS headers jsonb,
    ADD COLUMN IF NOT EXISTS request_body jsonb,
    ADD COLUMN IF NOT EXISTS response_body jsonb,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS request_size_bytes bigint,
    ADD COLUMN IF NOT EXISTS response_size_bytes bigint,
    ADD COLUMN IF NOT EXISTS database_time_ms integer,
    ADD COLUMN IF NOT EXISTS upstream_time_ms integer,
    ADD COLUMN IF NOT EXISTS cache_hit boolean,
    ADD COLUMN IF NOT EXISTS error_category text,
    ADD COLUMN IF NOT EXISTS error_code text,
    ADD COLUMN IF NOT EXISTS stack_trace text,
    ADD COLUMN IF NOT EXISTS rate_limited boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS rate_limit integer,
    ADD COLUMN IF NOT EXISTS rate_limit_remaining integer,
    ADD COLUMN IF NOT EXISTS rate_limit_reset_at timestamptz;

-- Each holds for new rows at once, and for those that are there when they have been looked at. A run that goes on
-- after an interruption makes them anew.
ALTER TABLE api_logs
    DROP CONSTRAINT IF EXISTS api_logs_request_size_bytes_check,
    DROP CONSTRAINT IF EXISTS api_logs_response_size_bytes_check,
    DROP CONSTRAINT IF EXISTS api_logs_database_time_ms_check,
    DROP CONSTRAINT IF EXISTS api_logs_upstream_time_ms_check,
    DROP CONSTRAINT IF EXISTS api_logs_error_category_check,
    DROP CONSTRAINT IF EXISTS api_logs_rate_limit_check,
    DROP CONSTRAINT IF EXISTS api_logs_rate_limit_remaining_check,
    ADD CONSTRAINT api_logs_request_size_bytes_check CHECK (request_size_bytes >= 0) NOT VALID,
    ADD CONSTRAINT api_logs_response_size_bytes_check CHECK (response_size_bytes >= 0) NOT VALID,
    ADD CONSTRAINT api_logs_database_time_ms_check CHECK (database_time_ms >= 0) NOT VALID,
    ADD CONSTRAINT api_logs_upstream_time_ms_check CHECK (upstream_time_ms >= 0) NOT VALID,
    ADD CONSTRAINT api_logs_error_category_check CHECK (error_category IN (
        'authentication', 'authorization', 'validation', 'not_found', 'conflict', 'rate_limit', 'timeout',
        'unavailable', 'client', 'server', 'unknown')) NOT VALID,
    ADD CONSTRAINT api_logs_rate_limit_check CHECK (rate_limit >= 0) NOT VALID,
    ADD CONSTRAINT api_logs_rate_limit_remaining_check CHECK (rate_limit_remaining >= 0) NOT VALID;
ALTER TABLE api_logs
    VALIDATE CONSTRAINT api_logs_request_size_bytes_check,
    VALIDATE CONSTRAINT api_logs_response_size_bytes_check,
    VALIDATE CONSTRAINT api_logs_database_time_ms_check,
    VALIDATE CONSTRAINT api_logs_upstream_time_ms_check,
    VALIDATE CONSTRAINT api_logs_error_category_check,
    VALIDATE CONSTRAINT api_logs_rate_limit_check,
    VALIDATE CONSTRAINT api_logs_rate_limit_remaining_check;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_api_logs_error_category_created_at
    ON api_logs (error_category, created_at DESC) WHERE error_category IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_api_logs_session_id_created_at
    ON api_logs (session_id, created_at) WHERE session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_api_logs_request_id ON api_logs (request_id) WHERE request_id IS NOT NULL;
