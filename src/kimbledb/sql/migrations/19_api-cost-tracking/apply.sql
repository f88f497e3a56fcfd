-- What calls of AI models cost: each call, budgets, the alerts of budgets, and prices.

CREATE TABLE api_cost_tracking (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    provider text,
    model text,
    endpoint text,
    input_tokens integer DEFAULT 0,
    output_tokens integer DEFAULT 0,
    tokens_used integer,
    cost_usd numeric(10,6) NOT NULL DEFAULT 0,
    cached boolean DEFAULT false,
    request_time_ms integer,
    metadata jsonb DEFAULT '{}',
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_cost_tracking_pkey PRIMARY KEY (id),
    CONSTRAINT api_cost_tracking_input_tokens_check CHECK (input_tokens >= 0),
    CONSTRAINT api_cost_tracking_output_tokens_check CHECK (output_tokens >= 0),
    CONSTRAINT api_cost_tracking_tokens_used_check CHECK (tokens_used >= 0),
    CONSTRAINT api_cost_tracking_cost_usd_check CHECK (cost_usd >= 0),
    CONSTRAINT api_cost_tracking_request_time_ms_check CHECK (request_time_ms >= 0),
    CONSTRAINT api_cost_tracking_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE budget_config (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    monthly_limit numeric(10,2),
    daily_limit numeric(10,2),
    hourly_limit numeric(10,2),
    hard_stop_enabled boolean NOT NULL DEFAULT false,
    alert_at_50 boolean NOT NULL DEFAULT true,
    alert_at_75 boolean NOT NULL DEFAULT true,
    alert_at_90 boolean NOT NULL DEFAULT true,
    alert_email text,
    alert_webhook text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT budget_config_pkey PRIMARY KEY (id),
    CONSTRAINT budget_config_user_id_key UNIQUE (user_id),
    CONSTRAINT budget_config_monthly_limit_check CHECK (monthly_limit >= 0),
    CONSTRAINT budget_config_daily_limit_check CHECK (daily_limit >= 0),
    CONSTRAINT budget_config_hourly_limit_check CHECK (hourly_limit >= 0),
    CONSTRAINT budget_config_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE budget_alerts (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    severity text NOT NULL DEFAULT 'warning',
    percent_used numeric(5,2),
    message text,
    status jsonb DEFAULT '{}',
    period text,
    period_start timestamptz,
    threshold integer,
    acknowledged boolean NOT NULL DEFAULT false,
    acknowledged_at timestamptz,
    acknowledged_by text,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT budget_alerts_pkey PRIMARY KEY (id),
    CONSTRAINT budget_alerts_severity_check CHECK (severity IN ('critical', 'emergency', 'warning')),
    CONSTRAINT budget_alerts_percent_used_check CHECK (percent_used >= 0),
    CONSTRAINT budget_alerts_period_check CHECK (period IN ('hour', 'day', 'month')),
    CONSTRAINT budget_alerts_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE cost_models (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    provider text NOT NULL,
    model text NOT NULL,
    input_cost_per_million numeric(12,6) NOT NULL DEFAULT 0,
    output_cost_per_million numeric(12,6) NOT NULL DEFAULT 0,
    cached_input_cost_per_million numeric(12,6),
    context_window integer,
    valid_from timestamptz NOT NULL DEFAULT now(),
    valid_to timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT cost_models_pkey PRIMARY KEY (id),
    CONSTRAINT cost_models_provider_model_valid_from_key UNIQUE (provider, model, valid_from),
    CONSTRAINT cost_models_input_cost_per_million_check CHECK (input_cost_per_million >= 0),
    CONSTRAINT cost_models_output_cost_per_million_check CHECK (output_cost_per_million >= 0),
    CONSTRAINT cost_models_cached_input_cost_per_million_check CHECK (cached_input_cost_per_million >= 0),
    CONSTRAINT cost_models_valid_to_check CHECK (valid_to > valid_from)
);

-- The sum of a person's costs since a moment reads this index alone.
CREATE INDEX idx_api_cost_tracking_user_id ON api_cost_tracking (user_id, "timestamp" DESC) INCLUDE (cost_usd);
CREATE INDEX idx_api_cost_tracking_timestamp ON api_cost_tracking ("timestamp" DESC);
CREATE INDEX idx_api_cost_tracking_model ON api_cost_tracking (model, "timestamp" DESC);
CREATE INDEX idx_budget_alerts_user_id ON budget_alerts (user_id, "timestamp" DESC);
-- The alerts rely on it: each share is told once.
CREATE UNIQUE INDEX idx_budget_alerts_once ON budget_alerts (user_id, period, period_start, threshold)
    WHERE threshold IS NOT NULL;
CREATE INDEX idx_cost_models_current ON cost_models (provider, model) WHERE valid_to IS NULL;

CREATE VIEW daily_costs WITH (security_invoker = true) AS
    SELECT user_id, date_trunc('day', "timestamp" AT TIME ZONE 'UTC')::date AS day, provider, model,
           count(*) AS requests, count(*) FILTER (WHERE cached) AS cached_requests,
           sum(coalesce(input_tokens, 0))::bigint AS input_tokens,
           sum(coalesce(output_tokens, 0))::bigint AS output_tokens,
           sum(cost_usd) AS cost_usd
    FROM api_cost_tracking
    GROUP BY user_id, date_trunc('day', "timestamp" AT TIME ZONE 'UTC'), provider, model;

CREATE VIEW monthly_costs WITH (security_invoker = true) AS
    SELECT user_id, date_trunc('month', "timestamp" AT TIME ZONE 'UTC')::date AS month, provider, model,
           count(*) AS requests, count(*) FILTER (WHERE cached) AS cached_requests,
           sum(coalesce(input_tokens, 0))::bigint AS input_tokens,
           sum(coalesce(output_tokens, 0))::bigint AS output_tokens,
           sum(cost_usd) AS cost_usd
    FROM api_cost_tracking
    GROUP BY user_id, date_trunc('month', "timestamp" AT TIME ZONE 'UTC'), provider, model;

-- After a cost is written: has it taken its person past a share of a limit? Each
-- share is told once in each hour, day or month (UTC). It runs by the rights of whoever
-- writes the cost (the service), does nothing without a budget, and never lets the
-- writing fail.
CREATE FUNCTION api_cost_tracking_alert() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    budget record;
    span record;
    spent_in numeric[];
    spent numeric;
    share numeric;
BEGIN
    IF NEW.user_id IS NULL OR NEW.cost_usd = 0 THEN
        RETURN NULL;
    END IF;
    SELECT b.*, date_trunc('hour', NEW."timestamp", 'UTC') AS hour_start, date_trunc('day', NEW."timestamp", 'UTC') AS day_start,
           date_trunc('month', NEW."timestamp", 'UTC') AS month_start
    INTO budget
    FROM budget_config AS b
    WHERE b.user_id = NEW.user_id;
    IF NOT FOUND OR num_nonnulls(budget.hourly_limit, budget.daily_limit, budget.monthly_limit) = 0 THEN
        RETURN NULL;
    END IF;
    -- One look at the longest of the periods that have a limit; the others lie in it.
    -- Months are counted in UTC, whatever the session's time zone.
    SELECT ARRAY[
               sum(t.cost_usd) FILTER (WHERE t."timestamp" >= budget.hour_start AND t."timestamp" < budget.hour_start + interval '1 hour'),
               sum(t.cost_usd) FILTER (WHERE t."timestamp" >= budget.day_start AND t."timestamp" < budget.day_start + interval '24 hours'),
               sum(t.cost_usd)]
    INTO spent_in
    FROM api_cost_tracking AS t
    WHERE t.user_id = NEW.user_id
      AND t."timestamp" >= CASE WHEN budget.monthly_limit IS NOT NULL THEN budget.month_start
                                WHEN budget.daily_limit IS NOT NULL THEN budget.day_start ELSE budget.hour_start END
      AND t."timestamp" < CASE WHEN budget.monthly_limit IS NOT NULL
                                   THEN (budget.month_start AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC'
                               ELSE budget.day_start + interval '24 hours' END;
    FOR span IN
        SELECT s.name, s.most, s.start, s.place
        FROM (VALUES ('hour', budget.hourly_limit, budget.hour_start, 1), ('day', budget.daily_limit, budget.day_start, 2),
                     ('month', budget.monthly_limit, budget.month_start, 3)) AS s (name, most, start, place)
        WHERE s.most IS NOT NULL
    LOOP
        spent := spent_in[span.place];
        -- Of a limit of nothing, anything is too much.
        share := CASE WHEN span.most > 0 THEN 100 * spent / span.most ELSE 999.99 END;
        INSERT INTO budget_alerts (user_id, severity, percent_used, message, status, period, period_start, threshold)
        SELECT NEW.user_id, reached.severity, least(round(share, 2), 999.99),
               format('%s %% of the budget of the %s is used: %s of %s USD', trunc(share), span.name, round(spent, 2), span.most),
               jsonb_build_object('spent', spent, 'limit', span.most), span.name, span.start, reached.threshold
        FROM (VALUES
            (50, 'warning', budget.alert_at_50), (75, 'warning', budget.alert_at_75), (90, 'critical', budget.alert_at_90),
            (100, 'emergency', true)
        ) AS reached (threshold, severity, wanted)
        WHERE reached.wanted AND share >= reached.threshold
        ON CONFLICT (user_id, period, period_start, threshold) WHERE threshold IS NOT NULL DO NOTHING;
    END LOOP;
    RETURN NULL;
EXCEPTION
    WHEN OTHERS THEN
        RAISE WARNING 'the budget of % was not checked: %', NEW.user_id, SQLERRM;
        RETURN NULL;
END
$$;
COMMENT ON FUNCTION api_cost_tracking_alert() IS
    'Trigger: writes an alert when a cost takes a person past 50, 75, 90 or 100 % of a limit.';
CREATE TRIGGER api_cost_tracking_alert AFTER INSERT ON api_cost_tracking
    FOR EACH ROW EXECUTE FUNCTION api_cost_tracking_alert();
CREATE TRIGGER budget_config_set_updated_at BEFORE UPDATE ON budget_config
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER cost_models_set_updated_at BEFORE UPDATE ON cost_models
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE api_cost_tracking ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_config ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE cost_models ENABLE ROW LEVEL SECURITY;

CREATE POLICY api_cost_tracking_owner_read ON api_cost_tracking FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY budget_config_owner ON budget_config
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY budget_alerts_owner_read ON budget_alerts FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY budget_alerts_owner_acknowledge ON budget_alerts FOR UPDATE
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE api_cost_tracking IS
    'What each call of a model cost. The service writes it, a person reads their own.';
COMMENT ON COLUMN api_cost_tracking.cached IS 'Answered from a cache, and so cheaper.';
COMMENT ON COLUMN api_cost_tracking.request_time_ms IS 'Milliseconds.';
COMMENT ON COLUMN api_cost_tracking."timestamp" IS 'When the call was made.';
COMMENT ON TABLE budget_config IS 'What a person may spend, in USD; a limit that is NULL is none.';
COMMENT ON COLUMN budget_config.hard_stop_enabled IS 'The application refuses calls past the limit.';
COMMENT ON COLUMN budget_config.alert_at_50 IS 'Whether half of a limit is told.';
COMMENT ON TABLE budget_alerts IS 'Shares of a budget that were reached.';
COMMENT ON COLUMN budget_alerts.period IS
    'The limit that it is about: hour, day or month; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.threshold IS
    'The share in percent that was reached; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.status IS 'What was spent, and the limit.';
COMMENT ON TABLE cost_models IS 'Prices of models in USD for a million tokens. For the service alone.';
COMMENT ON COLUMN cost_models.valid_to IS 'NULL for the price that holds now.';
COMMENT ON VIEW daily_costs IS 'Costs by person, day (UTC) and model.';
COMMENT ON VIEW monthly_costs IS 'Costs by person, month (UTC) and model.';
