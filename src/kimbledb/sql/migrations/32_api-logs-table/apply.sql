-- api-logs-table.sql
--
-- One row for each request of the application's API. For the service alone:
-- no policy, and no grant to people. What an analysis needs beyond this is
-- added by api-logs-schema.sql.

CREATE TABLE api_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    endpoint text,
    method text,
    status_code integer,
    response_time_ms integer,
    user_id text,
    ip_address text,
    user_agent text,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_logs_pkey PRIMARY KEY (id),
    CONSTRAINT api_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT api_logs_method_check CHECK (method IN ('DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT')),
    CONSTRAINT api_logs_response_time_ms_check CHECK (response_time_ms >= 0)
);

CREATE INDEX idx_api_logs_created_at ON api_logs (created_at DESC);
CREATE INDEX idx_api_logs_endpoint_created_at ON api_logs (endpoint, created_at DESC);
CREATE INDEX idx_api_logs_user_id_created_at ON api_logs (user_id, created_at DESC);
-- Errors and slow requests are looked for often, and are little of the whole.
CREATE INDEX idx_api_logs_errors ON api_logs (status_code, created_at DESC) WHERE status_code >= 400;
CREATE INDEX idx_api_logs_slow ON api_logs (response_time_ms DESC, created_at DESC) WHERE response_time_ms >= 1000;

COMMENT ON TABLE api_logs IS 'Requests of the application''s API. For the service alone.';
COMMENT ON COLUMN api_logs.endpoint IS 'The path, without its parameters.';
COMMENT ON COLUMN api_logs.status_code IS 'The HTTP status that was answered, as it came; NULL where no answer was given.';
COMMENT ON COLUMN api_logs.response_time_ms IS 'Milliseconds until the answer was given.';
COMMENT ON COLUMN api_logs.user_id IS 'Who asked; NULL for nobody known, and once the person is gone.';

ALTER TABLE api_logs ENABLE ROW LEVEL SECURITY;
