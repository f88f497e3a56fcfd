-- zapier-webhook-logs.sql
--
-- Every call of a Zapier webhook: what was sent, what came back, what went
-- wrong, and what Zapier said of its rate limit. The service writes it; people
-- read what was called for them. A row outlives its person.

CREATE TABLE zapier_webhook_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    event_type text NOT NULL,
    priority text DEFAULT 'medium',
    success boolean NOT NULL DEFAULT false,
    webhook_called boolean NOT NULL DEFAULT false,
    webhook_id text,
    attempt integer NOT NULL DEFAULT 1,
    payload_preview text,
    request_body jsonb,
    request_size_bytes integer,
    response_status integer,
    response_body text,
    duration_ms integer,
    error text,
    error_code text,
    rate_limited boolean NOT NULL DEFAULT false,
    rate_limit integer,
    rate_limit_remaining integer,
    rate_limit_reset_at timestamptz,
    retry_after_seconds integer,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT zapier_webhook_logs_pkey PRIMARY KEY (id),
    CONSTRAINT zapier_webhook_logs_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE SET NULL,
    CONSTRAINT zapier_webhook_logs_priority_check CHECK (priority IN ('high', 'low', 'medium', 'urgent')),
    CONSTRAINT zapier_webhook_logs_attempt_check CHECK (attempt > 0),
    CONSTRAINT zapier_webhook_logs_request_size_bytes_check CHECK (request_size_bytes >= 0),
    CONSTRAINT zapier_webhook_logs_response_status_check CHECK (response_status BETWEEN 100 AND 599),
    CONSTRAINT zapier_webhook_logs_duration_ms_check CHECK (duration_ms >= 0),
    CONSTRAINT zapier_webhook_logs_rate_limit_check CHECK (rate_limit >= 0),
    CONSTRAINT zapier_webhook_logs_rate_limit_remaining_check CHECK (rate_limit_remaining >= 0),
    CONSTRAINT zapier_webhook_logs_retry_after_seconds_check CHECK (retry_after_seconds >= 0)
);

CREATE INDEX idx_zapier_webhook_logs_user_id_timestamp ON zapier_webhook_logs (user_id, "timestamp" DESC);
CREATE INDEX idx_zapier_webhook_logs_event_type_timestamp ON zapier_webhook_logs (event_type, "timestamp" DESC);
CREATE INDEX idx_zapier_webhook_logs_timestamp ON zapier_webhook_logs ("timestamp" DESC);
-- What went wrong is looked for often, and is little of the whole.
CREATE INDEX idx_zapier_webhook_logs_failed ON zapier_webhook_logs ("timestamp" DESC) WHERE NOT success;
CREATE INDEX idx_zapier_webhook_logs_rate_limited ON zapier_webhook_logs (user_id, "timestamp" DESC) WHERE rate_limited;

COMMENT ON TABLE zapier_webhook_logs IS
    'Calls of Zapier webhooks, with request, response, errors and rate limits. '
    'The service writes it, a person reads their own.';
COMMENT ON COLUMN zapier_webhook_logs.user_id IS
    'The person for whom it was called; NULL for the service itself, and once the person is gone.';
COMMENT ON COLUMN zapier_webhook_logs.success IS
    'Whether the event was handled; a call that was not needed can be a success, too.';
COMMENT ON COLUMN zapier_webhook_logs.webhook_called IS 'Whether Zapier was called at all.';
COMMENT ON COLUMN zapier_webhook_logs.webhook_id IS 'The id that Zapier gave to the request.';
COMMENT ON COLUMN zapier_webhook_logs.attempt IS '1 for the first call of an event, 2 for its first repetition.';
COMMENT ON COLUMN zapier_webhook_logs.payload_preview IS 'The beginning of what was sent.';
COMMENT ON COLUMN zapier_webhook_logs.request_body IS 'What was sent, whole, where it is kept.';
COMMENT ON COLUMN zapier_webhook_logs.response_status IS 'The HTTP status that came back; NULL where none came.';
COMMENT ON COLUMN zapier_webhook_logs.error_code IS 'The kind of error, to count by.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limited IS
    'Whether the call was refused, or not made, because of a rate limit.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit IS 'The calls that Zapier allows in its window, as it said.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit_remaining IS 'The calls left in that window, as Zapier said.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit_reset_at IS 'When that window ends, as Zapier said.';
COMMENT ON COLUMN zapier_webhook_logs.retry_after_seconds IS 'How long Zapier asked to wait.';
COMMENT ON COLUMN zapier_webhook_logs."timestamp" IS 'When it was called, by the application''s clock.';

ALTER TABLE zapier_webhook_logs ENABLE ROW LEVEL SECURITY;

CREATE POLICY zapier_webhook_logs_owner_read ON zapier_webhook_logs
    FOR SELECT USING (user_id = (SELECT requesting_user_id()));

CREATE VIEW zapier_webhook_rates WITH (security_invoker = true) AS
SELECT log.user_id,
       date_trunc('hour', log."timestamp", 'UTC') AS hour,
       log.event_type,
       count(*) AS events,
       count(*) FILTER (WHERE log.webhook_called) AS calls,
       count(*) FILTER (WHERE NOT log.success) AS failed,
       count(*) FILTER (WHERE log.rate_limited) AS rate_limited,
       min(log.rate_limit_remaining) AS lowest_remaining,
       avg(log.duration_ms)::double precision AS average_ms
FROM zapier_webhook_logs AS log
GROUP BY 1, 2, 3;
COMMENT ON VIEW zapier_webhook_rates IS
    'For each person, hour and kind of event: '
    'how many events there were, how many calls they took, failed, and met a rate limit.';

-- A sliding window over the log. The log itself is the counter, so that nothing
-- else has to be kept in step.
CREATE FUNCTION zapier_webhook_allowance(
    for_user_id text,
    max_calls integer DEFAULT 100,
    within interval DEFAULT '1 hour')
RETURNS TABLE (
    calls bigint,
    remaining bigint,
    allowed boolean,
    next_call_at timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 1 SET search_path FROM CURRENT
AS $function$
DECLARE
    window_free_at timestamptz;
    zapier_free_at timestamptz;
BEGIN
    IF for_user_id IS NULL OR max_calls IS NULL OR max_calls < 1 OR within IS NULL OR within <= interval '0' THEN
        RAISE EXCEPTION 'zapier_webhook_allowance() needs a person, max_calls of 1 or more and a window longer than nothing'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    SELECT count(*) INTO calls
    FROM zapier_webhook_logs AS log
    WHERE log.user_id = for_user_id AND log.webhook_called AND log."timestamp" > now() - within;
    -- With n calls allowed, the next one may come when the n-th latest leaves the window.
    IF calls >= max_calls THEN
        SELECT log."timestamp" + within INTO window_free_at
        FROM zapier_webhook_logs AS log
        WHERE log.user_id = for_user_id AND log.webhook_called
        ORDER BY log."timestamp" DESC
        OFFSET max_calls - 1 LIMIT 1;
    END IF;
    -- What Zapier said last counts, whatever we allow ourselves.
    SELECT coalesce(log.rate_limit_reset_at, log."timestamp" + make_interval(secs => log.retry_after_seconds)) INTO zapier_free_at
    FROM zapier_webhook_logs AS log
    WHERE log.user_id = for_user_id AND log.rate_limited
    ORDER BY log."timestamp" DESC
    LIMIT 1;
    next_call_at := greatest(now(), window_free_at, zapier_free_at);
    allowed := next_call_at <= now();
    remaining := CASE WHEN allowed THEN max_calls - calls ELSE 0 END;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION zapier_webhook_allowance(text, integer, interval) IS
    'Whether Zapier may be called for a person now: no more than max_calls within the interval before, '
    'and not before the time that Zapier named when it last refused.';
