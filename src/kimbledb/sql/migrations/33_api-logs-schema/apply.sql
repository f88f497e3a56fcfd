-- api-logs-schema.sql
--
-- Extends api_logs by what an analysis needs: more of the request and the
-- answer, where the time went, what kind of error it was, and how it stood with
-- the rate limit. api_rate_limits counts the requests of each client. For the
-- service alone, the views, too.

ALTER TABLE api_logs
    ADD COLUMN session_id text,
    ADD COLUMN request_id text,
    ADD COLUMN environment text,
    ADD COLUMN query_params jsonb,
    ADD COLUMN headers jsonb,
    ADD COLUMN request_body jsonb,
    ADD COLUMN response_body jsonb,
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN request_size_bytes bigint
        CONSTRAINT api_logs_request_size_bytes_check CHECK (request_size_bytes >= 0),
    ADD COLUMN response_size_bytes bigint
        CONSTRAINT api_logs_response_size_bytes_check CHECK (response_size_bytes >= 0),
    ADD COLUMN database_time_ms integer
        CONSTRAINT api_logs_database_time_ms_check CHECK (database_time_ms >= 0),
    ADD COLUMN upstream_time_ms integer
        CONSTRAINT api_logs_upstream_time_ms_check CHECK (upstream_time_ms >= 0),
    ADD COLUMN cache_hit boolean,
    ADD COLUMN error_category text
        CONSTRAINT api_logs_error_category_check CHECK (error_category IN (
            'authentication', 'authorization', 'validation', 'not_found', 'conflict', 'rate_limit', 'timeout',
            'unavailable', 'client', 'server', 'unknown')),
    ADD COLUMN error_code text,
    ADD COLUMN stack_trace text,
    ADD COLUMN rate_limited boolean NOT NULL DEFAULT false,
    ADD COLUMN rate_limit integer
        CONSTRAINT api_logs_rate_limit_check CHECK (rate_limit >= 0),
    ADD COLUMN rate_limit_remaining integer
        CONSTRAINT api_logs_rate_limit_remaining_check CHECK (rate_limit_remaining >= 0),
    ADD COLUMN rate_limit_reset_at timestamptz;

CREATE TABLE api_rate_limits (
    client_key text NOT NULL,
    endpoint text NOT NULL,
    window_seconds integer NOT NULL,
    window_start timestamptz NOT NULL,
    max_requests integer,
    request_count integer NOT NULL DEFAULT 0,
    refused_count integer NOT NULL DEFAULT 0,
    last_request_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_rate_limits_pkey PRIMARY KEY (client_key, endpoint, window_seconds, window_start),
    CONSTRAINT api_rate_limits_window_seconds_check CHECK (window_seconds > 0),
    CONSTRAINT api_rate_limits_max_requests_check CHECK (max_requests >= 0),
    CONSTRAINT api_rate_limits_request_count_check CHECK (request_count >= 0),
    CONSTRAINT api_rate_limits_refused_count_check CHECK (refused_count >= 0)
);

CREATE INDEX idx_api_logs_error_category_created_at
    ON api_logs (error_category, created_at DESC) WHERE error_category IS NOT NULL;
CREATE INDEX idx_api_logs_session_id_created_at
    ON api_logs (session_id, created_at) WHERE session_id IS NOT NULL;
CREATE INDEX idx_api_logs_request_id ON api_logs (request_id) WHERE request_id IS NOT NULL;
CREATE INDEX idx_api_rate_limits_window_start ON api_rate_limits (window_start);

COMMENT ON COLUMN api_logs.session_id IS 'The session of the person who asked.';
COMMENT ON COLUMN api_logs.request_id IS 'The id under which other logs know the request.';
COMMENT ON COLUMN api_logs.environment IS 'Such as production or development.';
COMMENT ON COLUMN api_logs.headers IS 'Headers of the request. Secrets are for the application to leave out.';
COMMENT ON COLUMN api_logs.database_time_ms IS 'How much of response_time_ms the database took.';
COMMENT ON COLUMN api_logs.upstream_time_ms IS 'How much of response_time_ms other services took.';
COMMENT ON COLUMN api_logs.cache_hit IS 'Whether a cache answered; NULL where none was asked.';
COMMENT ON COLUMN api_logs.error_category IS
    'The kind of error; where it is not given, api_error_category() tells. NULL for no error.';
COMMENT ON COLUMN api_logs.error_code IS 'The application''s own code of the error.';
COMMENT ON COLUMN api_logs.rate_limited IS 'Whether the request was refused because of a rate limit.';
COMMENT ON COLUMN api_logs.rate_limit IS 'The requests that the client was allowed in its window.';
COMMENT ON COLUMN api_logs.rate_limit_remaining IS 'The requests that it had left then.';
COMMENT ON COLUMN api_logs.rate_limit_reset_at IS 'When that window ended.';
COMMENT ON TABLE api_rate_limits IS
    'How many requests each client made, by endpoint and window: count_api_request() counts. For the service alone.';
COMMENT ON COLUMN api_rate_limits.client_key IS 'Who is counted, such as a person, an address or an API key.';
COMMENT ON COLUMN api_rate_limits.endpoint IS 'What is counted; * for everything together.';
COMMENT ON COLUMN api_rate_limits.window_start IS 'Windows are cut by the clock, each window_seconds long.';
COMMENT ON COLUMN api_rate_limits.max_requests IS 'What was allowed in the window when it was asked last.';
COMMENT ON COLUMN api_rate_limits.request_count IS 'All requests in the window, the refused ones with them.';
COMMENT ON COLUMN api_rate_limits.refused_count IS 'Those of them that were refused.';

CREATE FUNCTION api_error_category(status_code integer, error_message text DEFAULT NULL) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
    SELECT CASE
        WHEN status_code = 401 THEN 'authentication'
        WHEN status_code = 403 THEN 'authorization'
        WHEN status_code IN (400, 413, 414, 415, 422) THEN 'validation'
        WHEN status_code IN (404, 405, 410) THEN 'not_found'
        WHEN status_code IN (409, 412, 423, 428) THEN 'conflict'
        WHEN status_code = 429 THEN 'rate_limit'
        WHEN status_code IN (408, 499, 504) THEN 'timeout'
        WHEN status_code IN (502, 503) THEN 'unavailable'
        WHEN status_code BETWEEN 400 AND 499 THEN 'client'
        WHEN status_code >= 500 AND error_message ~* 'time(d)?[ -]?out' THEN 'timeout'
        WHEN status_code >= 500 THEN 'server'
        WHEN error_message IS NULL THEN NULL
        WHEN error_message ~* 'time(d)?[ -]?out' THEN 'timeout'
        WHEN error_message ~* 'rate.?limit|too many requests' THEN 'rate_limit'
        ELSE 'unknown'
    END
$function$;
COMMENT ON FUNCTION api_error_category(integer, text) IS
    'The kind of error that an HTTP status, and where that says nothing the message, stand for; NULL for no error.';

CREATE FUNCTION api_logs_categorize_error() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    -- A kind that the function told follows what it was told from; one that a statement gives stays.
    IF NEW.error_category IS NULL
       OR TG_OP = 'UPDATE' AND NEW.error_category = OLD.error_category
          AND OLD.error_category = api_error_category(OLD.status_code, OLD.error_message)
    THEN
        NEW.error_category := api_error_category(NEW.status_code, NEW.error_message);
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION api_logs_categorize_error() IS 'Trigger: fills in the kind of error where it is not given.';

CREATE TRIGGER api_logs_categorize_error
    BEFORE INSERT OR UPDATE OF status_code, error_message, error_category ON api_logs
    FOR EACH ROW EXECUTE FUNCTION api_logs_categorize_error();

-- What was logged before.
UPDATE api_logs SET error_category = api_error_category(status_code, error_message)
WHERE error_category IS NULL AND (status_code >= 400 OR error_message IS NOT NULL);

CREATE FUNCTION count_api_request(
    client_key text,
    endpoint text DEFAULT '*',
    max_requests integer DEFAULT 60,
    window_seconds integer DEFAULT 60)
RETURNS TABLE (
    allowed boolean,
    requests integer,
    remaining integer,
    reset_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY INVOKER ROWS 1 SET search_path FROM CURRENT
AS $function$
#variable_conflict use_variable
DECLARE
    started timestamptz;
BEGIN
    IF client_key IS NULL OR endpoint IS NULL OR max_requests IS NULL OR max_requests < 0 OR window_seconds IS NULL OR window_seconds < 1 THEN
        RAISE EXCEPTION 'count_api_request() needs a client, an endpoint, max_requests of 0 or more and window_seconds of 1 or more'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    started := to_timestamp(floor(extract(epoch FROM clock_timestamp()) / window_seconds) * window_seconds);
    -- One statement, so that of many requests at once each is counted. Names of
    -- columns stand behind the table's, the others are the arguments.
    INSERT INTO api_rate_limits AS counter (client_key, endpoint, window_seconds, window_start, max_requests, request_count, refused_count, last_request_at)
    VALUES (client_key, endpoint, window_seconds, started, max_requests, 1, CASE WHEN max_requests < 1 THEN 1 ELSE 0 END, clock_timestamp())
    ON CONFLICT ON CONSTRAINT api_rate_limits_pkey DO UPDATE
        SET request_count = counter.request_count + 1,
            refused_count = counter.refused_count + CASE WHEN counter.request_count >= excluded.max_requests THEN 1 ELSE 0 END,
            max_requests = excluded.max_requests,
            last_request_at = excluded.last_request_at
    RETURNING counter.request_count INTO requests;
    allowed := requests <= max_requests;
    remaining := greatest(max_requests - requests, 0);
    reset_at := started + make_interval(secs => window_seconds);
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION count_api_request(text, text, integer, integer) IS
    'Counts a request of a client in the present window, '
    'and says whether it is still allowed, how many are left, and when the window ends.';

CREATE FUNCTION purge_api_rate_limits(older_than interval DEFAULT '1 day') RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
DECLARE
    purged bigint;
BEGIN
    DELETE FROM api_rate_limits AS counter
    WHERE counter.window_start < now() - older_than
      AND counter.window_start + make_interval(secs => counter.window_seconds) < now() - older_than;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$function$;
COMMENT ON FUNCTION purge_api_rate_limits(interval) IS
    'Deletes counters of windows that ended longer ago, and returns how many. For the service to call now and then.';

CREATE VIEW api_endpoint_performance WITH (security_invoker = true) AS
SELECT (log.created_at AT TIME ZONE 'UTC')::date AS day,
       log.endpoint,
       log.method,
       count(*) AS requests,
       count(*) FILTER (WHERE log.error_category IS NOT NULL) AS errors,
       (count(*) FILTER (WHERE log.error_category IS NOT NULL))::double precision / count(*) AS error_rate,
       count(*) FILTER (WHERE log.rate_limited) AS rate_limited,
       avg(log.response_time_ms)::double precision AS average_ms,
       percentile_cont(0.5) WITHIN GROUP (ORDER BY log.response_time_ms) AS median_ms,
       percentile_cont(0.95) WITHIN GROUP (ORDER BY log.response_time_ms) AS p95_ms,
       percentile_cont(0.99) WITHIN GROUP (ORDER BY log.response_time_ms) AS p99_ms,
       max(log.response_time_ms) AS max_ms,
       avg(log.database_time_ms)::double precision AS average_database_ms,
       avg(log.upstream_time_ms)::double precision AS average_upstream_ms,
       avg(log.response_size_bytes)::double precision AS average_response_bytes,
       avg(log.cache_hit::integer)::double precision AS cache_hit_rate
FROM api_logs AS log
GROUP BY 1, 2, 3;
COMMENT ON VIEW api_endpoint_performance IS
    'For each day (UTC), endpoint and method: requests, errors, and how long they took.';

CREATE VIEW api_error_summary WITH (security_invoker = true) AS
SELECT (log.created_at AT TIME ZONE 'UTC')::date AS day,
       log.error_category,
       log.endpoint,
       log.status_code,
       count(*) AS errors,
       count(DISTINCT log.user_id) AS people,
       min(log.created_at) AS first_at,
       max(log.created_at) AS last_at,
       (array_agg(log.error_message ORDER BY log.created_at DESC)
            FILTER (WHERE log.error_message IS NOT NULL))[1] AS last_message
FROM api_logs AS log
WHERE log.error_category IS NOT NULL
GROUP BY 1, 2, 3, 4;
COMMENT ON VIEW api_error_summary IS
    'For each day (UTC), kind of error, endpoint and status: '
    'how many there were, how many people met them, and the last message.';

CREATE VIEW api_rate_limit_usage WITH (security_invoker = true) AS
SELECT counter.client_key,
       counter.endpoint,
       counter.window_start,
       counter.window_start + make_interval(secs => counter.window_seconds) AS reset_at,
       counter.request_count,
       counter.refused_count,
       counter.max_requests,
       greatest(counter.max_requests - counter.request_count, 0) AS remaining
FROM api_rate_limits AS counter
WHERE counter.window_start + make_interval(secs => counter.window_seconds) > now();
COMMENT ON VIEW api_rate_limit_usage IS 'How each client stands in its present windows.';

ALTER TABLE api_rate_limits ENABLE ROW LEVEL SECURITY;
