-- What calls of AI models cost: each call, budgets, the alerts of budgets, and prices.

CREATE TABLE IF NOT EXISTS api_cost_tracking (
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
    CONSTRAINT api_cost_tracking_request_time_ms_check CHECK (request_time_ms >= 0)
);
ALTER TABLE api_cost_tracking
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS provider text,
    ADD COLUMN IF NOT EXISTS model text,
    ADD COLUMN IF NOT EXISTS endpoint text,
    ADD COLUMN IF NOT EXISTS input_tokens integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS output_tokens integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tokens_used integer,
    ADD COLUMN IF NOT EXISTS cost_usd numeric(10,6) NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS cached boolean DEFAULT false,
    ADD COLUMN IF NOT EXISTS request_time_ms integer,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS "timestamp" timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS budget_config (
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
    CONSTRAINT budget_config_hourly_limit_check CHECK (hourly_limit >= 0)
);
ALTER TABLE budget_config
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS monthly_limit numeric(10,2),
    ADD COLUMN IF NOT EXISTS daily_limit numeric(10,2),
    ADD COLUMN IF NOT EXISTS hourly_limit numeric(10,2),
    ADD COLUMN IF NOT EXISTS hard_stop_enabled boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS alert_at_50 boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS alert_at_75 boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS alert_at_90 boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS alert_email text,
    ADD COLUMN IF NOT EXISTS alert_webhook text,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS budget_alerts (
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
    CONSTRAINT budget_alerts_period_check CHECK (period IN ('hour', 'day', 'month'))
);
ALTER TABLE budget_alerts
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS severity text NOT NULL DEFAULT 'warning',
    ADD COLUMN IF NOT EXISTS percent_used numeric(5,2),
    ADD COLUMN IF NOT EXISTS message text,
    ADD COLUMN IF NOT EXISTS status jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS period text,
    ADD COLUMN IF NOT EXISTS period_start timestamptz,
    ADD COLUMN IF NOT EXISTS threshold integer,
    ADD COLUMN IF NOT EXISTS acknowledged boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS acknowledged_at timestamptz,
    ADD COLUMN IF NOT EXISTS acknowledged_by text,
    ADD COLUMN IF NOT EXISTS "timestamp" timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS cost_models (
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
ALTER TABLE cost_models
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS provider text,
    ADD COLUMN IF NOT EXISTS model text,
    ADD COLUMN IF NOT EXISTS input_cost_per_million numeric(12,6) NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS output_cost_per_million numeric(12,6) NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS cached_input_cost_per_million numeric(12,6),
    ADD COLUMN IF NOT EXISTS context_window integer,
    ADD COLUMN IF NOT EXISTS valid_from timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS valid_to timestamptz,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- What a table made by hand may lack: defaults, and NOT NULL where every row has a value.
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT listed.*, col.attnotnull, col.atthasdef
        FROM (VALUES
            ('api_cost_tracking', 'id', 'uuid', 'gen_random_uuid()', true),
            ('api_cost_tracking', 'input_tokens', 'integer', '0', false),
            ('api_cost_tracking', 'output_tokens', 'integer', '0', false),
            ('api_cost_tracking', 'cost_usd', 'numeric', '0', true),
            ('api_cost_tracking', 'cached', 'boolean', 'false', false),
            ('api_cost_tracking', 'metadata', 'jsonb', '''{}''', false),
            ('api_cost_tracking', 'timestamp', 'timestamptz', 'now()', true),
            ('budget_config', 'id', 'uuid', 'gen_random_uuid()', true),
            ('budget_config', 'hard_stop_enabled', 'boolean', 'false', true),
            ('budget_config', 'alert_at_50', 'boolean', 'true', true),
            ('budget_config', 'alert_at_75', 'boolean', 'true', true),
            ('budget_config', 'alert_at_90', 'boolean', 'true', true),
            ('budget_config', 'created_at', 'timestamptz', 'now()', true),
            ('budget_config', 'updated_at', 'timestamptz', 'now()', true),
            ('budget_alerts', 'id', 'uuid', 'gen_random_uuid()', true),
            ('budget_alerts', 'severity', 'text', '''warning''', true),
            ('budget_alerts', 'status', 'jsonb', '''{}''', false),
            ('budget_alerts', 'acknowledged', 'boolean', 'false', true),
            ('budget_alerts', 'timestamp', 'timestamptz', 'now()', true),
            ('cost_models', 'id', 'uuid', 'gen_random_uuid()', true),
            ('cost_models', 'provider', 'text', NULL, true),
            ('cost_models', 'model', 'text', NULL, true),
            ('cost_models', 'input_cost_per_million', 'numeric', '0', true),
            ('cost_models', 'output_cost_per_million', 'numeric', '0', true),
            ('cost_models', 'valid_from', 'timestamptz', 'now()', true),
            ('cost_models', 'metadata', 'jsonb', '''{}''', true),
            ('cost_models', 'created_at', 'timestamptz', 'now()', true),
            ('cost_models', 'updated_at', 'timestamptz', 'now()', true)
        ) AS listed (tab, name, type, fallback, required)
        JOIN pg_catalog.pg_class AS t ON t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
        JOIN pg_catalog.pg_attribute AS col ON col.attrelid = t.oid AND col.attname = listed.name AND NOT col.attisdropped
        -- A column that has another type yet, such as an id that is a uuid, waits for the repairs.
        WHERE col.atttypid = listed.type::regtype
          AND ((listed.fallback IS NOT NULL AND NOT col.atthasdef) OR (listed.required AND NOT col.attnotnull))
    LOOP
        IF loose.fallback IS NOT NULL AND NOT loose.atthasdef THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT ', loose.tab, loose.name) || loose.fallback;
        END IF;
        IF loose.required AND NOT loose.attnotnull THEN
            IF loose.fallback IS NOT NULL THEN
                EXECUTE format('UPDATE %I SET %I = DEFAULT WHERE %2$I IS NULL', loose.tab, loose.name);
            END IF;
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE %I IS NULL)', loose.tab, loose.name) INTO filled;
            IF filled THEN
                EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', loose.tab, loose.name);
            END IF;
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
        SELECT listed.*, present.oid IS NOT NULL AS narrower
        FROM (VALUES
            ('api_cost_tracking', 'api_cost_tracking_pkey', 'PRIMARY KEY (id)'),
            ('budget_config', 'budget_config_pkey', 'PRIMARY KEY (id)'),
            ('budget_alerts', 'budget_alerts_pkey', 'PRIMARY KEY (id)'),
            ('cost_models', 'cost_models_pkey', 'PRIMARY KEY (id)'),
            ('api_cost_tracking', 'api_cost_tracking_input_tokens_check', 'CHECK (input_tokens >= 0)'),
            ('api_cost_tracking', 'api_cost_tracking_output_tokens_check', 'CHECK (output_tokens >= 0)'),
            ('api_cost_tracking', 'api_cost_tracking_tokens_used_check', 'CHECK (tokens_used >= 0)'),
            ('api_cost_tracking', 'api_cost_tracking_cost_usd_check', 'CHECK (cost_usd >= 0)'),
            ('api_cost_tracking', 'api_cost_tracking_request_time_ms_check', 'CHECK (request_time_ms >= 0)'),
            ('budget_config', 'budget_config_user_id_key', 'UNIQUE (user_id)'),
            ('budget_config', 'budget_config_monthly_limit_check', 'CHECK (monthly_limit >= 0)'),
            ('budget_config', 'budget_config_daily_limit_check', 'CHECK (daily_limit >= 0)'),
            ('budget_config', 'budget_config_hourly_limit_check', 'CHECK (hourly_limit >= 0)'),
            ('budget_alerts', 'budget_alerts_severity_check', 'CHECK (severity IN (''critical'', ''emergency'', ''warning''))'),
            ('budget_alerts', 'budget_alerts_percent_used_check', 'CHECK (percent_used >= 0)'),
            ('budget_alerts', 'budget_alerts_period_check', 'CHECK (period IN (''hour'', ''day'', ''month''))'),
            ('cost_models', 'cost_models_provider_model_valid_from_key', 'UNIQUE (provider, model, valid_from)'),
            ('cost_models', 'cost_models_input_cost_per_million_check', 'CHECK (input_cost_per_million >= 0)'),
            ('cost_models', 'cost_models_output_cost_per_million_check', 'CHECK (output_cost_per_million >= 0)'),
            ('cost_models', 'cost_models_cached_input_cost_per_million_check', 'CHECK (cached_input_cost_per_million >= 0)'),
            ('cost_models', 'cost_models_valid_to_check', 'CHECK (valid_to > valid_from)')
        ) AS listed (tab, name, definition)
        JOIN pg_catalog.pg_class AS t ON t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
        LEFT JOIN pg_catalog.pg_constraint AS present
            ON present.conrelid = t.oid
           AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%'))
        -- A check of that name from before may know fewer values than the application sends.
        WHERE present.oid IS NULL
           OR (present.contype = 'c'
               AND NOT ARRAY(SELECT word[1] FROM regexp_matches(listed.definition, $$'([^']*)'$$, 'g') AS word)
                       <@ ARRAY(SELECT word[1] FROM regexp_matches(pg_get_constraintdef(present.oid), $$'([^']*)'$$, 'g') AS word))
    LOOP
        IF wanted.narrower THEN
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', wanted.tab, wanted.name);
        END IF;
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition;
    END LOOP;
END
$checks$;

-- The unique keys that the application and the alerts rely on.
CREATE UNIQUE INDEX IF NOT EXISTS idx_budget_alerts_once ON budget_alerts (user_id, period, period_start, threshold)
    WHERE threshold IS NOT NULL;

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
            ('api_cost_tracking', 'api_cost_tracking_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('budget_config', 'budget_config_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('budget_alerts', 'budget_alerts_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE')
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

-- The sum of a person's costs since a moment reads this index alone.
CREATE INDEX IF NOT EXISTS idx_api_cost_tracking_user_id ON api_cost_tracking (user_id, "timestamp" DESC) INCLUDE (cost_usd);
CREATE INDEX IF NOT EXISTS idx_api_cost_tracking_timestamp ON api_cost_tracking ("timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_api_cost_tracking_model ON api_cost_tracking (model, "timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_budget_alerts_user_id ON budget_alerts (user_id, "timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_cost_models_current ON cost_models (provider, model) WHERE valid_to IS NULL;

CREATE OR REPLACE VIEW daily_costs WITH (security_invoker = true) AS
    SELECT user_id, date_trunc('day', "timestamp" AT TIME ZONE 'UTC')::date AS day, provider, model,
           count(*) AS requests, count(*) FILTER (WHERE cached) AS cached_requests,
           sum(coalesce(input_tokens, 0))::bigint AS input_tokens, sum(coalesce(output_tokens, 0))::bigint AS output_tokens,
           sum(cost_usd) AS cost_usd
    FROM api_cost_tracking
    GROUP BY user_id, date_trunc('day', "timestamp" AT TIME ZONE 'UTC'), provider, model;

CREATE OR REPLACE VIEW monthly_costs WITH (security_invoker = true) AS
    SELECT user_id, date_trunc('month', "timestamp" AT TIME ZONE 'UTC')::date AS month, provider, model,
           count(*) AS requests, count(*) FILTER (WHERE cached) AS cached_requests,
           sum(coalesce(input_tokens, 0))::bigint AS input_tokens, sum(coalesce(output_tokens, 0))::bigint AS output_tokens,
           sum(cost_usd) AS cost_usd
    FROM api_cost_tracking
    GROUP BY user_id, date_trunc('month', "timestamp" AT TIME ZONE 'UTC'), provider, model;

-- After a cost is written: has it taken its person past a share of a limit? Each
-- share is told once in each hour, day or month (UTC). It runs by the rights of whoever
-- writes the cost (the service), does nothing without a budget, and never lets the
-- writing fail.
CREATE OR REPLACE FUNCTION api_cost_tracking_alert() RETURNS trigger
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
COMMENT ON FUNCTION api_cost_tracking_alert() IS 'Trigger: writes an alert when a cost takes a person past 50, 75, 90 or 100 % of a limit.';
CREATE OR REPLACE TRIGGER api_cost_tracking_alert AFTER INSERT ON api_cost_tracking
    FOR EACH ROW EXECUTE FUNCTION api_cost_tracking_alert();
CREATE OR REPLACE TRIGGER budget_config_set_updated_at BEFORE UPDATE ON budget_config
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER cost_models_set_updated_at BEFORE UPDATE ON cost_models
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE api_cost_tracking ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_config ENABLE ROW LEVEL SECURITY;
ALTER TABLE budget_alerts ENABLE ROW LEVEL SECURITY;
ALTER TABLE cost_models ENABLE ROW LEVEL SECURITY;

-- Made only where the columns that a policy compares are text: on a database from
-- before, the repairs convert them and make the policies that wait for it.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('api_cost_tracking', 'api_cost_tracking_owner_read', ARRAY['api_cost_tracking.user_id'], 'FOR SELECT USING (user_id = (SELECT requesting_user_id()))'),
            ('budget_config', 'budget_config_owner', ARRAY['budget_config.user_id'], 'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))'),
            ('budget_alerts', 'budget_alerts_owner_read', ARRAY['budget_alerts.user_id'], 'FOR SELECT USING (user_id = (SELECT requesting_user_id()))'),
            ('budget_alerts', 'budget_alerts_owner_acknowledge', ARRAY['budget_alerts.user_id'], 'FOR UPDATE USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))')
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policies AS present
            WHERE present.schemaname = current_schema() AND present.tablename = listed.tab AND present.policyname = listed.name)
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND t.relname || '.' || col.attname = ANY (listed.compares) AND col.atttypid <> 'text'::regtype)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

DO $grants$
DECLARE
    granted record;
    api_role text;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('TABLE api_cost_tracking', 'SELECT', 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE budget_config', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE budget_alerts', 'SELECT, UPDATE (acknowledged, acknowledged_at, acknowledged_by)', 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE cost_models', NULL, 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE daily_costs', 'SELECT', 'SELECT'),
            ('TABLE monthly_costs', 'SELECT', 'SELECT'),
            ('FUNCTION api_cost_tracking_alert()', NULL, NULL)
        ) AS listed (object, people, service)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', granted.object);
        -- The hosted platform's default privileges give these roles everything on what is new.
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %I', granted.object, api_role);
            IF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON %s TO authenticated', granted.people, granted.object);
            ELSIF api_role = 'service_role' AND granted.service IS NOT NULL THEN
                EXECUTE format('GRANT %s ON %s TO service_role', granted.service, granted.object);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;

COMMENT ON TABLE api_cost_tracking IS 'What each call of a model cost. The service writes it, a person reads their own.';
COMMENT ON COLUMN api_cost_tracking.cached IS 'Answered from a cache, and so cheaper.';
COMMENT ON COLUMN api_cost_tracking.request_time_ms IS 'Milliseconds.';
COMMENT ON COLUMN api_cost_tracking."timestamp" IS 'When the call was made.';
COMMENT ON TABLE budget_config IS 'What a person may spend, in USD; a limit that is NULL is none.';
COMMENT ON COLUMN budget_config.hard_stop_enabled IS 'The application refuses calls past the limit.';
COMMENT ON COLUMN budget_config.alert_at_50 IS 'Whether half of a limit is told.';
COMMENT ON TABLE budget_alerts IS 'Shares of a budget that were reached.';
COMMENT ON COLUMN budget_alerts.period IS 'The limit that it is about: hour, day or month; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.threshold IS 'The share in percent that was reached; NULL for an alert of the application''s own.';
COMMENT ON COLUMN budget_alerts.status IS 'What was spent, and the limit.';
COMMENT ON TABLE cost_models IS 'Prices of models in USD for a million tokens. For the service alone.';
COMMENT ON COLUMN cost_models.valid_to IS 'NULL for the price that holds now.';
COMMENT ON VIEW daily_costs IS 'Costs by person, day (UTC) and model.';
COMMENT ON VIEW monthly_costs IS 'Costs by person, month (UTC) and model.';
