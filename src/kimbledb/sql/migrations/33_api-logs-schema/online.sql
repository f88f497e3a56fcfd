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

-- Each holds for new rows at once, and for those that are there when they have been looked at.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('api_logs', 'api_logs_request_size_bytes_check', 'CHECK (request_size_bytes >= 0)'),
            ('api_logs', 'api_logs_response_size_bytes_check', 'CHECK (response_size_bytes >= 0)'),
            ('api_logs', 'api_logs_database_time_ms_check', 'CHECK (database_time_ms >= 0)'),
            ('api_logs', 'api_logs_upstream_time_ms_check', 'CHECK (upstream_time_ms >= 0)'),
            ('api_logs', 'api_logs_error_category_check',
             $$CHECK (error_category IN ('authentication', 'authorization', 'validation', 'not_found', 'conflict', 'rate_limit', 'timeout', 'unavailable', 'client', 'server', 'unknown'))$$),
            ('api_logs', 'api_logs_rate_limit_check', 'CHECK (rate_limit >= 0)'),
            ('api_logs', 'api_logs_rate_limit_remaining_check', 'CHECK (rate_limit_remaining >= 0)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab AND present.conname = listed.name)
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition || ' NOT VALID';
    END LOOP;
END
$checks$;

DO $validation$
DECLARE
    open record;
BEGIN
    FOR open IN
        SELECT tab.relname, con.conname
        FROM pg_catalog.pg_constraint AS con
        JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT con.convalidated
          AND con.conname IN (
              'api_logs_request_size_bytes_check',
              'api_logs_response_size_bytes_check',
              'api_logs_database_time_ms_check',
              'api_logs_upstream_time_ms_check',
              'api_logs_error_category_check',
              'api_logs_rate_limit_check',
              'api_logs_rate_limit_remaining_check')
    LOOP
        EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', open.relname, open.conname);
    END LOOP;
END
$validation$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_api_logs_error_category_created_at
    ON api_logs (error_category, created_at DESC) WHERE error_category IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_api_logs_session_id_created_at
    ON api_logs (session_id, created_at) WHERE session_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_api_logs_request_id ON api_logs (request_id) WHERE request_id IS NOT NULL;
