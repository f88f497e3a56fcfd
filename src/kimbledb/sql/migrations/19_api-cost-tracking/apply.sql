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
    -- NaN is greater than any number, and no sum would lose it again.
    CONSTRAINT api_cost_tracking_cost_usd_check CHECK (cost_usd >= 0 AND cost_usd <> 'NaN'),
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
    CONSTRAINT budget_config_monthly_limit_check CHECK (monthly_limit >= 0 AND monthly_limit <> 'NaN'),
    CONSTRAINT budget_config_daily_limit_check CHECK (daily_limit >= 0 AND daily_limit <> 'NaN'),
    CONSTRAINT budget_config_hourly_limit_check CHECK (hourly_limit >= 0 AND hourly_limit <> 'NaN'),
    CONSTRAINT budget_config_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
);

CREATE TABLE budget_alerts (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    severity text NOT NULL DEFAULT 'warning',
    percent_used numeric(20,2),
    message text,
    status jsonb DEFAULT '{}',
    period text,
    period_start timestamptz,
    threshold integer,
    limit_usd numeric(10,2),
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

CREATE TABLE budget_spending (
    user_id text NOT NULL,
    period text NOT NULL,
    period_start timestamptz NOT NULL,
    spent_usd numeric NOT NULL DEFAULT 0,
    CONSTRAINT budget_spending_pkey PRIMARY KEY (user_id, period, period_start),
    CONSTRAINT budget_spending_period_check CHECK (period IN ('hour', 'day', 'month')),
    CONSTRAINT budget_spending_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
)
-- Every call changes rows here. With room in the page the server prunes the old versions at once.
WITH (fillfactor = 50);

-- No transaction leaves a row here, so there is nothing to keep after a crash.
CREATE UNLOGGED TABLE budget_changes (
    xact xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id bigint GENERATED ALWAYS AS IDENTITY,
    user_id text NOT NULL,
    hour timestamptz NOT NULL,
    cost_usd numeric NOT NULL,
    CONSTRAINT budget_changes_pkey PRIMARY KEY (xact, id)
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

-- The sum of a person's costs in a span of time reads this index alone.
CREATE INDEX idx_api_cost_tracking_user_id ON api_cost_tracking (user_id, "timestamp" DESC) INCLUDE (cost_usd);
CREATE INDEX idx_api_cost_tracking_timestamp ON api_cost_tracking ("timestamp" DESC);
CREATE INDEX idx_api_cost_tracking_model ON api_cost_tracking (model, "timestamp" DESC);
CREATE INDEX idx_budget_alerts_user_id ON budget_alerts (user_id, "timestamp" DESC);
-- An alert of a share of a limit stands once in its period.
CREATE UNIQUE INDEX idx_budget_alerts_once ON budget_alerts (user_id, period, period_start, threshold, limit_usd)
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

-- Running totals. A statement that changes calls notes its differences, and the end of its transaction adds these to the
-- totals, in one change however many statements there were. So an alert reads a few rows, however many calls
-- there are. Where the row of a month is missing, nothing of that month counts as known, and it is counted from the calls;
-- where it stands, an hour or a day without a row has cost nothing. Hours, days and months are those of UTC, whatever
-- the session's time zone.
--
-- Of two transactions that change one person's calls, the second waits at the row of the month until the first has
-- ended, so it sees what the first one has spent and told. The trigger functions run by the rights of their owner:
-- whoever may write a call need not be able to write totals and alerts.
CREATE FUNCTION count_budget_month(of_user_id text, of_month timestamptz) RETURNS boolean
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    next_month constant timestamptz := (of_month AT TIME ZONE 'UTC' + interval '1 month') AT TIME ZONE 'UTC';
BEGIN
    IF EXISTS (SELECT FROM budget_spending AS s WHERE s.user_id = of_user_id AND s.period = 'month' AND s.period_start = of_month) THEN
        RETURN false;
    END IF;
    -- Waits for whoever counts the same month. A person who is being deleted needs no totals.
    INSERT INTO budget_spending (user_id, period, period_start)
    SELECT person.id, 'month', of_month FROM users AS person WHERE person.id = of_user_id
    ON CONFLICT (user_id, period, period_start) DO NOTHING;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM budget_spending AS s
    WHERE s.user_id = of_user_id AND s.period <> 'month' AND s.period_start >= of_month AND s.period_start < next_month;
    INSERT INTO budget_spending AS s (user_id, period, period_start, spent_usd)
    SELECT call.user_id, span.period, date_trunc(span.period, call."timestamp", 'UTC'), sum(call.cost_usd)
    FROM api_cost_tracking AS call
    CROSS JOIN (VALUES ('hour'), ('day'), ('month')) AS span (period)
    WHERE call.user_id = of_user_id AND call."timestamp" >= of_month AND call."timestamp" < next_month AND call.cost_usd > 0
    GROUP BY 1, 2, 3
    ON CONFLICT (user_id, period, period_start) DO UPDATE SET spent_usd = excluded.spent_usd;
    RETURN true;
END
$$;
COMMENT ON FUNCTION count_budget_month(text, timestamptz) IS
    'Makes the totals of a person''s month (in UTC) from the calls, unless they are there, and returns whether it did.';

CREATE FUNCTION raise_budget_alerts(touched budget_spending[]) RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    due record;
BEGIN
    FOR due IN
        SELECT s.user_id, s.period, s.period_start, s.spent_usd, budget.most, reached.threshold, reached.severity,
               -- Of a limit of nothing there is no share, and anything is too much.
               100 * s.spent_usd / nullif(budget.most, 0) AS share
        FROM unnest(touched) AS s
        JOIN budget_config AS b ON b.user_id = s.user_id
        CROSS JOIN LATERAL (VALUES
            ('hour', b.hourly_limit), ('day', b.daily_limit), ('month', b.monthly_limit)
        ) AS budget (period, most)
        CROSS JOIN LATERAL (VALUES
            (50, 'warning', b.alert_at_50), (75, 'warning', b.alert_at_75), (90, 'critical', b.alert_at_90),
            (100, 'emergency', true)
        ) AS reached (threshold, severity, wanted)
        WHERE budget.period = s.period AND reached.wanted AND s.spent_usd > 0 AND 100 * s.spent_usd >= reached.threshold * budget.most
          -- Each share of a limit is told once; after the limit was raised, the greater amount is told, too.
          AND NOT EXISTS (
              SELECT FROM budget_alerts AS told
              WHERE told.user_id = s.user_id AND told.period = s.period AND told.period_start = s.period_start
                AND told.threshold = reached.threshold AND told.limit_usd >= budget.most)
        ORDER BY s.user_id, s.period_start, s.period, reached.threshold
    LOOP
        BEGIN
            INSERT INTO budget_alerts (user_id, severity, percent_used, message, status, period, period_start, threshold, limit_usd)
            VALUES (
                due.user_id, due.severity, due.share,
                coalesce(format('%s %% of the budget of the %s is used: %s of %s USD', trunc(due.share), due.period, round(due.spent_usd, 2), due.most),
                         format('%s USD are spent of a budget of nothing for the %s', due.spent_usd, due.period)),
                jsonb_build_object('spent', due.spent_usd, 'limit', due.most), due.period, due.period_start, due.threshold, due.most)
            ON CONFLICT (user_id, period, period_start, threshold, limit_usd) WHERE threshold IS NOT NULL DO NOTHING;
        EXCEPTION
            -- The call is written all the same; the next one raises the alert.
            WHEN OTHERS THEN
                RAISE WARNING 'the alert at % %% of the budget of % was not written: %', due.threshold, due.user_id, SQLERRM;
        END;
    END LOOP;
END
$$;
COMMENT ON FUNCTION raise_budget_alerts(budget_spending[]) IS
    'Writes the alerts that these totals are due: at 50, 75, 90 and 100 % of a limit, each once in its period.';

CREATE FUNCTION api_cost_tracking_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO budget_changes (user_id, hour, cost_usd)
        SELECT user_id, date_trunc('hour', "timestamp", 'UTC'), sum(cost_usd)
        FROM added WHERE user_id IS NOT NULL AND cost_usd > 0 GROUP BY 1, 2;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        INSERT INTO budget_changes (user_id, hour, cost_usd)
        SELECT user_id, date_trunc('hour', "timestamp", 'UTC'), -sum(cost_usd)
        FROM removed WHERE user_id IS NOT NULL AND cost_usd > 0 GROUP BY 1, 2;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api_cost_tracking_alert() IS
    'Trigger: notes what calls cost, for the totals and the alerts at the end of the transaction.';

CREATE FUNCTION settle_budget_changes() RETURNS void
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    people text[];
    hours timestamptz[];
    costs numeric[];
    month record;
    counted timestamptz[] := '{}';
    counted_people text[] := '{}';
    touched budget_spending[];
BEGIN
    WITH taken AS (
        DELETE FROM budget_changes AS c WHERE c.xact = pg_current_xact_id() RETURNING c.user_id, c.hour, c.cost_usd
    )
    SELECT array_agg(own.user_id), array_agg(own.hour), array_agg(own.cost) INTO people, hours, costs
    FROM (SELECT user_id, hour, sum(cost_usd) FROM taken GROUP BY 1, 2 HAVING sum(cost_usd) <> 0) AS own (user_id, hour, cost);

    -- All transactions take the months in one order, so that none waits for another in a circle.
    FOR month IN
        SELECT DISTINCT own.user_id, date_trunc('month', own.hour, 'UTC') AS start
        FROM unnest(people, hours) AS own (user_id, hour)
        ORDER BY 1, 2
    LOOP
        IF count_budget_month(month.user_id, month.start) THEN
            counted_people := counted_people || month.user_id;
            counted := counted || month.start;
        END IF;
    END LOOP;

    -- A month that was counted just now holds these differences already.
    WITH changed AS (
        INSERT INTO budget_spending AS s (user_id, period, period_start, spent_usd)
        SELECT own.user_id, span.period, date_trunc(span.period, own.hour, 'UTC'), sum(own.cost)
        FROM unnest(people, hours, costs) AS own (user_id, hour, cost)
        CROSS JOIN (VALUES ('hour'), ('day'), ('month')) AS span (period)
        WHERE EXISTS (
                  SELECT FROM budget_spending AS total
                  WHERE total.user_id = own.user_id AND total.period = 'month' AND total.period_start = date_trunc('month', own.hour, 'UTC'))
          AND NOT EXISTS (
                  SELECT FROM unnest(counted_people, counted) AS done (user_id, month)
                  WHERE done.user_id = own.user_id AND done.month = date_trunc('month', own.hour, 'UTC'))
        GROUP BY own.user_id, span.period, 3
        HAVING sum(own.cost) <> 0
        ORDER BY own.user_id, span.period = 'month' DESC, 3, 2
        ON CONFLICT (user_id, period, period_start) DO UPDATE SET spent_usd = s.spent_usd + excluded.spent_usd
        RETURNING s AS total
    )
    SELECT array_agg(total) INTO touched FROM changed;
    IF cardinality(counted) > 0 THEN
        SELECT coalesce(touched, '{}') || array_agg(s) INTO touched
        FROM unnest(counted_people, counted) AS done (user_id, month)
        JOIN budget_spending AS s ON s.user_id = done.user_id AND date_trunc('month', s.period_start, 'UTC') = done.month
        WHERE EXISTS (
            SELECT FROM unnest(people, hours) AS own (user_id, hour)
            WHERE own.user_id = s.user_id AND date_trunc(s.period, own.hour, 'UTC') = s.period_start);
    END IF;

    DELETE FROM budget_spending AS s
    USING unnest(touched) AS t
    WHERE t.spent_usd = 0 AND s.user_id = t.user_id AND s.period = t.period AND s.period_start = t.period_start AND s.period <> 'month';
    PERFORM raise_budget_alerts(touched);
END
$$;
COMMENT ON FUNCTION settle_budget_changes() IS
    'Adds the changes that this transaction has noted to the totals of their persons, and raises the alerts that are due.';

CREATE FUNCTION budget_changes_settle() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    -- The first row of a transaction settles all that are there then.
    IF EXISTS (SELECT FROM budget_changes AS c WHERE c.xact = NEW.xact AND c.id = NEW.id) THEN
        PERFORM settle_budget_changes();
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION budget_changes_settle() IS 'Trigger: settles the changes of a transaction at its end.';

CREATE FUNCTION api_cost_tracking_forget() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM budget_spending;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION api_cost_tracking_forget() IS 'Trigger: without calls there are no totals.';

CREATE FUNCTION budget_config_alert() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    moment constant timestamptz := clock_timestamp();
    touched budget_spending[];
BEGIN
    -- A month that is counted below holds the calls of this transaction: they must not be added to it once more.
    PERFORM settle_budget_changes();
    -- Waits for a transaction that is ending with calls of this person; a later one sees the new limits.
    PERFORM count_budget_month(NEW.user_id, date_trunc('month', moment, 'UTC'));
    PERFORM FROM budget_spending AS s
    WHERE s.user_id = NEW.user_id AND s.period = 'month' AND s.period_start = date_trunc('month', moment, 'UTC')
    FOR UPDATE;
    SELECT array_agg(s) INTO touched
    FROM budget_spending AS s
    WHERE s.user_id = NEW.user_id AND s.period_start = date_trunc(s.period, moment, 'UTC');
    PERFORM raise_budget_alerts(touched);
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION budget_config_alert() IS
    'Trigger: raises the alerts that a new limit is due for what is spent already in this hour, day and month.';

CREATE TRIGGER api_cost_tracking_alert AFTER INSERT ON api_cost_tracking
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_alert();
CREATE TRIGGER api_cost_tracking_alert_of_changes AFTER UPDATE ON api_cost_tracking
    REFERENCING OLD TABLE AS removed NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_alert();
CREATE TRIGGER api_cost_tracking_deduct AFTER DELETE ON api_cost_tracking
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_alert();
CREATE TRIGGER api_cost_tracking_forget AFTER TRUNCATE ON api_cost_tracking
    FOR EACH STATEMENT EXECUTE FUNCTION api_cost_tracking_forget();
-- At the end of the transaction, so that nobody waits for a transaction that is still at work.
CREATE CONSTRAINT TRIGGER budget_changes_settle AFTER INSERT ON budget_changes
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION budget_changes_settle();
CREATE CONSTRAINT TRIGGER budget_config_alert
    AFTER INSERT OR UPDATE OF user_id, hourly_limit, daily_limit, monthly_limit, alert_at_50, alert_at_75, alert_at_90 ON budget_config
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION budget_config_alert();
CREATE TRIGGER budget_config_set_updated_at BEFORE UPDATE ON budget_config
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER cost_models_set_updated_at BEFORE UPDATE ON cost_models
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE api_cost_tracking ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_config ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_spending ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_changes ENABLE ROW LEVEL SECURITY;
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
CREATE POLICY budget_spending_owner_read ON budget_spending FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));

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
COMMENT ON COLUMN budget_alerts.limit_usd IS
    'The limit that it is about, in USD; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.percent_used IS
    'The share of the limit that is used, in percent; it passes 100. NULL where the limit is nothing.';
COMMENT ON COLUMN budget_alerts.status IS 'What was spent, and the limit.';
COMMENT ON TABLE budget_spending IS
    'What the calls of a person cost in each hour, day and month (UTC), kept by triggers at the end of each transaction. '
    'Where the row of a month is deleted, the next call of that month counts it anew from the calls.';
COMMENT ON TABLE budget_changes IS
    'What a transaction has changed in the costs of calls and not yet added to the totals: empty between transactions. For triggers alone.';
COMMENT ON TABLE cost_models IS 'Prices of models in USD for a million tokens. For the service alone.';
COMMENT ON COLUMN cost_models.valid_to IS 'NULL for the price that holds now.';
COMMENT ON VIEW daily_costs IS 'Costs by person, day (UTC) and model.';
COMMENT ON VIEW monthly_costs IS 'Costs by person, month (UTC) and model.';
