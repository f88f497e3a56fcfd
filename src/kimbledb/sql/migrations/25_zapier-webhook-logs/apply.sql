-- zapier-webhook-logs.sql
--
-- Every call of a Zapier webhook: what was sent, what came back, what went
-- wrong, and what Zapier said of its rate limit. The service writes it; people
-- read what was called for them. A row outlives its person.

CREATE TABLE IF NOT EXISTS zapier_webhook_logs (
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
    CONSTRAINT zapier_webhook_logs_priority_check CHECK (priority IN ('high', 'low', 'medium', 'urgent')),
    CONSTRAINT zapier_webhook_logs_attempt_check CHECK (attempt > 0),
    CONSTRAINT zapier_webhook_logs_request_size_bytes_check CHECK (request_size_bytes >= 0),
    CONSTRAINT zapier_webhook_logs_response_status_check CHECK (response_status BETWEEN 100 AND 599),
    CONSTRAINT zapier_webhook_logs_duration_ms_check CHECK (duration_ms >= 0),
    CONSTRAINT zapier_webhook_logs_rate_limit_check CHECK (rate_limit >= 0),
    CONSTRAINT zapier_webhook_logs_rate_limit_remaining_check CHECK (rate_limit_remaining >= 0),
    CONSTRAINT zapier_webhook_logs_retry_after_seconds_check CHECK (retry_after_seconds >= 0)
);
ALTER TABLE zapier_webhook_logs
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS event_type text,
    ADD COLUMN IF NOT EXISTS priority text DEFAULT 'medium',
    ADD COLUMN IF NOT EXISTS success boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS webhook_called boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS webhook_id text,
    ADD COLUMN IF NOT EXISTS attempt integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS payload_preview text,
    ADD COLUMN IF NOT EXISTS request_body jsonb,
    ADD COLUMN IF NOT EXISTS request_size_bytes integer,
    ADD COLUMN IF NOT EXISTS response_status integer,
    ADD COLUMN IF NOT EXISTS response_body text,
    ADD COLUMN IF NOT EXISTS duration_ms integer,
    ADD COLUMN IF NOT EXISTS error text,
    ADD COLUMN IF NOT EXISTS error_code text,
    ADD COLUMN IF NOT EXISTS rate_limited boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS rate_limit integer,
    ADD COLUMN IF NOT EXISTS rate_limit_remaining integer,
    ADD COLUMN IF NOT EXISTS rate_limit_reset_at timestamptz,
    ADD COLUMN IF NOT EXISTS retry_after_seconds integer,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS "timestamp" timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have a column without its default, or with NULL in it:
-- it gets the default, and NOT NULL where no NULL is left.
ALTER TABLE zapier_webhook_logs
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN priority SET DEFAULT 'medium',
    ALTER COLUMN success SET DEFAULT false,
    ALTER COLUMN webhook_called SET DEFAULT false,
    ALTER COLUMN attempt SET DEFAULT 1,
    ALTER COLUMN rate_limited SET DEFAULT false,
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN "timestamp" SET DEFAULT now(),
    ALTER COLUMN created_at SET DEFAULT now();
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT tab.relname, col.attname, col.atthasdef
        FROM pg_catalog.pg_attribute AS col
        JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attnotnull AND NOT col.attisdropped
          AND (tab.relname, col.attname) IN (
            ('zapier_webhook_logs', 'id'), ('zapier_webhook_logs', 'event_type'), ('zapier_webhook_logs', 'success'),
            ('zapier_webhook_logs', 'webhook_called'), ('zapier_webhook_logs', 'attempt'),
            ('zapier_webhook_logs', 'rate_limited'), ('zapier_webhook_logs', 'metadata'),
            ('zapier_webhook_logs', 'timestamp'), ('zapier_webhook_logs', 'created_at'))
    LOOP
        IF loose.atthasdef THEN
            EXECUTE format('UPDATE %I SET %I = DEFAULT WHERE %2$I IS NULL', loose.relname, loose.attname);
        END IF;
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE %I IS NULL)', loose.relname, loose.attname) INTO filled;
        IF filled THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', loose.relname, loose.attname);
        END IF;
    END LOOP;
END
$columns$;

-- Keys and checks that a table made by hand may lack.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('zapier_webhook_logs', 'zapier_webhook_logs_pkey', 'PRIMARY KEY (id)'),
            ('zapier_webhook_logs', 'zapier_webhook_logs_priority_check',
             $$CHECK (priority IN ('high', 'low', 'medium', 'urgent'))$$),
            ('zapier_webhook_logs', 'zapier_webhook_logs_attempt_check', 'CHECK (attempt > 0)'),
            ('zapier_webhook_logs', 'zapier_webhook_logs_request_size_bytes_check', 'CHECK (request_size_bytes >= 0)'),
            ('zapier_webhook_logs', 'zapier_webhook_logs_response_status_check',
             'CHECK (response_status BETWEEN 100 AND 599)'),
            ('zapier_webhook_logs', 'zapier_webhook_logs_duration_ms_check', 'CHECK (duration_ms >= 0)'),
            ('zapier_webhook_logs', 'zapier_webhook_logs_rate_limit_check', 'CHECK (rate_limit >= 0)'),
            ('zapier_webhook_logs', 'zapier_webhook_logs_rate_limit_remaining_check',
             'CHECK (rate_limit_remaining >= 0)'),
            ('zapier_webhook_logs', 'zapier_webhook_logs_retry_after_seconds_check',
             'CHECK (retry_after_seconds >= 0)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
              AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%')))
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition;
    END LOOP;
END
$checks$;

-- Keys are added only between columns of one type: a database from before may
-- still have uuid here, and the repairs (FIX_PROJECT_ID_TYPE.sql and its
-- followers) convert those columns and add the keys that wait for it.
DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT *
        FROM (VALUES
            ('zapier_webhook_logs', 'zapier_webhook_logs_user_id_fkey', 'user_id', 'users', 'id', 'SET NULL')
        ) AS wanted (child, name, child_column, parent, parent_column, on_delete)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = wanted.child AND present.conname = wanted.name)
          AND (SELECT count(DISTINCT col.atttypid) = 1
               FROM pg_catalog.pg_attribute AS col
               JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
               WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
                 AND (tab.relname, col.attname) IN ((wanted.child, wanted.child_column), (wanted.parent, wanted.parent_column)))
    LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

CREATE INDEX IF NOT EXISTS idx_zapier_webhook_logs_user_id_timestamp
    ON zapier_webhook_logs (user_id, "timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_zapier_webhook_logs_event_type_timestamp
    ON zapier_webhook_logs (event_type, "timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_zapier_webhook_logs_timestamp ON zapier_webhook_logs ("timestamp" DESC);
-- What went wrong is looked for often, and is little of the whole.
CREATE INDEX IF NOT EXISTS idx_zapier_webhook_logs_failed ON zapier_webhook_logs ("timestamp" DESC) WHERE NOT success;
CREATE INDEX IF NOT EXISTS idx_zapier_webhook_logs_rate_limited
    ON zapier_webhook_logs (user_id, "timestamp" DESC) WHERE rate_limited;

COMMENT ON TABLE zapier_webhook_logs IS 'Calls of Zapier webhooks, with request, response, errors and rate limits. The service writes it, a person reads their own.';
COMMENT ON COLUMN zapier_webhook_logs.user_id IS 'The person for whom it was called; NULL for the service itself, and once the person is gone.';
COMMENT ON COLUMN zapier_webhook_logs.success IS 'Whether the event was handled; a call that was not needed can be a success, too.';
COMMENT ON COLUMN zapier_webhook_logs.webhook_called IS 'Whether Zapier was called at all.';
COMMENT ON COLUMN zapier_webhook_logs.webhook_id IS 'The id that Zapier gave to the request.';
COMMENT ON COLUMN zapier_webhook_logs.attempt IS '1 for the first call of an event, 2 for its first repetition.';
COMMENT ON COLUMN zapier_webhook_logs.payload_preview IS 'The beginning of what was sent.';
COMMENT ON COLUMN zapier_webhook_logs.request_body IS 'What was sent, whole, where it is kept.';
COMMENT ON COLUMN zapier_webhook_logs.response_status IS 'The HTTP status that came back; NULL where none came.';
COMMENT ON COLUMN zapier_webhook_logs.error_code IS 'The kind of error, to count by.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limited IS 'Whether the call was refused, or not made, because of a rate limit.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit IS 'The calls that Zapier allows in its window, as it said.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit_remaining IS 'The calls left in that window, as Zapier said.';
COMMENT ON COLUMN zapier_webhook_logs.rate_limit_reset_at IS 'When that window ends, as Zapier said.';
COMMENT ON COLUMN zapier_webhook_logs.retry_after_seconds IS 'How long Zapier asked to wait.';
COMMENT ON COLUMN zapier_webhook_logs."timestamp" IS 'When it was called, by the application''s clock.';

ALTER TABLE zapier_webhook_logs ENABLE ROW LEVEL SECURITY;

-- A policy is made only where the columns that it compares are text: on a
-- database from before they may wait for the repairs. Row level security without
-- its policy is closed, never open.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('zapier_webhook_logs', 'zapier_webhook_logs_owner_read',
             ARRAY['zapier_webhook_logs.user_id'],
             $$FOR SELECT USING (user_id = (SELECT requesting_user_id()))$$)
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policies AS present
            WHERE present.schemaname = current_schema() AND present.tablename = listed.tab AND present.policyname = listed.name)
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND t.relname || '.' || col.attname = ANY (listed.compares) AND col.atttypid <> 'pg_catalog.text'::regtype)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

CREATE OR REPLACE VIEW zapier_webhook_rates WITH (security_invoker = true) AS
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
COMMENT ON VIEW zapier_webhook_rates IS 'For each person, hour and kind of event: how many events there were, how many calls they took, failed, and met a rate limit.';

-- A sliding window over the log. The log itself is the counter, so that nothing
-- else has to be kept in step.
CREATE OR REPLACE FUNCTION zapier_webhook_allowance(
    for_user_id text,
    max_calls integer DEFAULT 100,
    within interval DEFAULT '1 hour')
RETURNS TABLE (
    calls bigint,
    remaining bigint,
    allowed boolean,
    next_call_at timestamptz)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SECURITY INVOKER
ROWS 1
SET search_path FROM CURRENT
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
    'Whether Zapier may be called for a person now: no more than max_calls within the interval before, and not before the time that Zapier named when it last refused.';

-- The hosted platform's default privileges give its roles everything on what is
-- new: it is taken back, and each role gets what it needs.
DO $grants$
DECLARE
    api_role text;
    granted record;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('zapier_webhook_logs', 'SELECT', 'SELECT, INSERT, UPDATE, DELETE'),
            ('zapier_webhook_rates', 'SELECT', 'SELECT')
        ) AS listed (name, people, service)
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %I FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %I FROM %I', granted.name, api_role);
            IF api_role = 'service_role' THEN
                EXECUTE format('GRANT %s ON TABLE %I TO service_role', granted.service, granted.name);
            ELSIF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON TABLE %I TO authenticated', granted.people, granted.name);
            END IF;
        END LOOP;
    END LOOP;
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('zapier_webhook_allowance(text, integer, interval)', '{authenticated,service_role}'::text[])
        ) AS listed (name, callers)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', granted.name, api_role);
            IF api_role = ANY (granted.callers) THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', granted.name, api_role);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;
