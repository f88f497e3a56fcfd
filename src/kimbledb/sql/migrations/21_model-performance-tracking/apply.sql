-- How models do: one row for each call, and what they add up to.

CREATE TABLE IF NOT EXISTS model_performance_metrics (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    conversation_id text,
    message_id uuid,
    provider text,
    model_name text NOT NULL,
    model text,
    task_type text,
    task_complexity text,
    response_time_ms integer,
    total_tokens integer,
    tokens_used integer,
    input_tokens integer,
    output_tokens integer,
    success boolean NOT NULL DEFAULT true,
    error_message text,
    user_rating integer,
    quality_score double precision,
    metadata jsonb DEFAULT '{}',
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT model_performance_metrics_pkey PRIMARY KEY (id),
    CONSTRAINT model_performance_metrics_provider_check CHECK (provider IN ('anthropic', 'google', 'openai', 'other')),
    CONSTRAINT model_performance_metrics_task_type_check CHECK (task_type IN ('analysis', 'coding', 'creative', 'file_processing', 'function_calling', 'general_chat', 'other', 'reasoning')),
    CONSTRAINT model_performance_metrics_task_complexity_check CHECK (task_complexity IN ('complex', 'medium', 'simple')),
    CONSTRAINT model_performance_metrics_response_time_ms_check CHECK (response_time_ms >= 0),
    CONSTRAINT model_performance_metrics_total_tokens_check CHECK (total_tokens >= 0),
    CONSTRAINT model_performance_metrics_input_tokens_check CHECK (input_tokens >= 0),
    CONSTRAINT model_performance_metrics_output_tokens_check CHECK (output_tokens >= 0),
    CONSTRAINT model_performance_metrics_user_rating_check CHECK (user_rating BETWEEN 1 AND 5),
    CONSTRAINT model_performance_metrics_quality_score_check CHECK (quality_score BETWEEN 0 AND 1)
);
ALTER TABLE model_performance_metrics
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS conversation_id text,
    ADD COLUMN IF NOT EXISTS message_id uuid,
    ADD COLUMN IF NOT EXISTS provider text,
    ADD COLUMN IF NOT EXISTS model_name text,
    ADD COLUMN IF NOT EXISTS model text,
    ADD COLUMN IF NOT EXISTS task_type text,
    ADD COLUMN IF NOT EXISTS task_complexity text,
    ADD COLUMN IF NOT EXISTS response_time_ms integer,
    ADD COLUMN IF NOT EXISTS total_tokens integer,
    ADD COLUMN IF NOT EXISTS tokens_used integer,
    ADD COLUMN IF NOT EXISTS input_tokens integer,
    ADD COLUMN IF NOT EXISTS output_tokens integer,
    ADD COLUMN IF NOT EXISTS success boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS user_rating integer,
    ADD COLUMN IF NOT EXISTS quality_score double precision,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS "timestamp" timestamptz NOT NULL DEFAULT now();

-- A table with rows that was completed just now: two names of one thing agree.
UPDATE model_performance_metrics
SET model_name = coalesce(model_name, model), model = coalesce(model_name, model),
    total_tokens = coalesce(total_tokens, tokens_used), tokens_used = coalesce(total_tokens, tokens_used)
WHERE model_name IS DISTINCT FROM model OR total_tokens IS DISTINCT FROM tokens_used;

-- What a table made by hand may lack: defaults, and NOT NULL where every row has a value.
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT listed.*, col.attnotnull, col.atthasdef
        FROM (VALUES
            ('model_performance_metrics', 'id', 'uuid', 'gen_random_uuid()', true),
            ('model_performance_metrics', 'model_name', 'text', NULL, true),
            ('model_performance_metrics', 'success', 'boolean', 'true', true),
            ('model_performance_metrics', 'metadata', 'jsonb', '''{}''', false),
            ('model_performance_metrics', 'timestamp', 'timestamptz', 'now()', true)
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
            ('model_performance_metrics', 'model_performance_metrics_pkey', 'PRIMARY KEY (id)'),
            ('model_performance_metrics', 'model_performance_metrics_provider_check', 'CHECK (provider IN (''anthropic'', ''google'', ''openai'', ''other''))'),
            ('model_performance_metrics', 'model_performance_metrics_task_type_check', 'CHECK (task_type IN (''analysis'', ''coding'', ''creative'', ''file_processing'', ''function_calling'', ''general_chat'', ''other'', ''reasoning''))'),
            ('model_performance_metrics', 'model_performance_metrics_task_complexity_check', 'CHECK (task_complexity IN (''complex'', ''medium'', ''simple''))'),
            ('model_performance_metrics', 'model_performance_metrics_response_time_ms_check', 'CHECK (response_time_ms >= 0)'),
            ('model_performance_metrics', 'model_performance_metrics_total_tokens_check', 'CHECK (total_tokens >= 0)'),
            ('model_performance_metrics', 'model_performance_metrics_input_tokens_check', 'CHECK (input_tokens >= 0)'),
            ('model_performance_metrics', 'model_performance_metrics_output_tokens_check', 'CHECK (output_tokens >= 0)'),
            ('model_performance_metrics', 'model_performance_metrics_user_rating_check', 'CHECK (user_rating BETWEEN 1 AND 5)'),
            ('model_performance_metrics', 'model_performance_metrics_quality_score_check', 'CHECK (quality_score BETWEEN 0 AND 1)')
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
            ('model_performance_metrics', 'model_performance_metrics_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('model_performance_metrics', 'model_performance_metrics_conversation_id_fkey', 'conversation_id', 'conversations', 'id', 'SET NULL')
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

CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_user_id ON model_performance_metrics (user_id, "timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_conversation_id ON model_performance_metrics (conversation_id);
CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_model_name ON model_performance_metrics (model_name, "timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_model ON model_performance_metrics (model);
CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_task_type ON model_performance_metrics (task_type, model_name);
CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_timestamp ON model_performance_metrics ("timestamp" DESC);
CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_failures ON model_performance_metrics (model_name, "timestamp" DESC) WHERE NOT success;

CREATE OR REPLACE FUNCTION model_performance_metrics_sync_model_name() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    documented_given boolean;
    other_given boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        documented_given := NEW.model_name IS NOT NULL;
        other_given := NEW.model IS NOT NULL;
    ELSE
        documented_given := NEW.model_name IS DISTINCT FROM OLD.model_name;
        other_given := NEW.model IS DISTINCT FROM OLD.model;
    END IF;
    IF documented_given AND other_given AND NEW.model_name IS DISTINCT FROM NEW.model THEN
        RAISE EXCEPTION 'model_performance_metrics.model_name and model_performance_metrics.model are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'model_performance_metrics', COLUMN = 'model';
    ELSIF other_given THEN
        NEW.model_name := NEW.model;
    ELSE
        NEW.model := NEW.model_name;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION model_performance_metrics_sync_model_name() IS 'Trigger: keeps model_name and the application''s model equal.';
CREATE OR REPLACE TRIGGER model_performance_metrics_sync_model_name BEFORE INSERT OR UPDATE OF model_name, model ON model_performance_metrics
    FOR EACH ROW EXECUTE FUNCTION model_performance_metrics_sync_model_name();

CREATE OR REPLACE FUNCTION model_performance_metrics_sync_total_tokens() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    documented_given boolean;
    other_given boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        documented_given := NEW.total_tokens IS NOT NULL;
        other_given := NEW.tokens_used IS NOT NULL;
    ELSE
        documented_given := NEW.total_tokens IS DISTINCT FROM OLD.total_tokens;
        other_given := NEW.tokens_used IS DISTINCT FROM OLD.tokens_used;
    END IF;
    IF documented_given AND other_given AND NEW.total_tokens IS DISTINCT FROM NEW.tokens_used THEN
        RAISE EXCEPTION 'model_performance_metrics.total_tokens and model_performance_metrics.tokens_used are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'model_performance_metrics', COLUMN = 'tokens_used';
    ELSIF other_given THEN
        NEW.total_tokens := NEW.tokens_used;
    ELSE
        NEW.tokens_used := NEW.total_tokens;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION model_performance_metrics_sync_total_tokens() IS 'Trigger: keeps total_tokens and the application''s tokens_used equal.';
CREATE OR REPLACE TRIGGER model_performance_metrics_sync_total_tokens BEFORE INSERT OR UPDATE OF total_tokens, tokens_used ON model_performance_metrics
    FOR EACH ROW EXECUTE FUNCTION model_performance_metrics_sync_total_tokens();

CREATE OR REPLACE VIEW model_performance_summary WITH (security_invoker = true) AS
    SELECT model_name, provider, count(*) AS requests,
           avg(response_time_ms) AS avg_response_time_ms,
           percentile_cont(0.95) WITHIN GROUP (ORDER BY response_time_ms) AS p95_response_time_ms,
           avg(total_tokens) AS avg_total_tokens, sum(total_tokens)::bigint AS total_tokens,
           count(*) FILTER (WHERE NOT success) AS errors,
           round(count(*) FILTER (WHERE NOT success)::numeric / count(*), 4) AS error_rate,
           avg(user_rating) AS avg_user_rating, count(user_rating) AS ratings, avg(quality_score) AS avg_quality_score,
           max("timestamp") AS last_used_at
    FROM model_performance_metrics
    GROUP BY model_name, provider;

CREATE OR REPLACE VIEW model_error_rates WITH (security_invoker = true) AS
    SELECT model_name, date_trunc('day', "timestamp" AT TIME ZONE 'UTC')::date AS day, count(*) AS requests,
           count(*) FILTER (WHERE NOT success) AS errors,
           round(count(*) FILTER (WHERE NOT success)::numeric / count(*), 4) AS error_rate,
           avg(response_time_ms) AS avg_response_time_ms
    FROM model_performance_metrics
    GROUP BY model_name, date_trunc('day', "timestamp" AT TIME ZONE 'UTC');

ALTER TABLE model_performance_metrics ENABLE ROW LEVEL SECURITY;

-- Made only where the columns that a policy compares are text: on a database from
-- before, the repairs convert them and make the policies that wait for it.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('model_performance_metrics', 'model_performance_metrics_owner_read', ARRAY['model_performance_metrics.user_id'], 'FOR SELECT USING (user_id = (SELECT requesting_user_id()))'),
            ('model_performance_metrics', 'model_performance_metrics_owner_rate', ARRAY['model_performance_metrics.user_id'], 'FOR UPDATE USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))')
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
            ('TABLE model_performance_metrics', 'SELECT, UPDATE (user_rating)', 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE model_performance_summary', 'SELECT', 'SELECT'),
            ('TABLE model_error_rates', 'SELECT', 'SELECT'),
            ('FUNCTION model_performance_metrics_sync_model_name()', NULL, NULL),
            ('FUNCTION model_performance_metrics_sync_total_tokens()', NULL, NULL)
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

COMMENT ON TABLE model_performance_metrics IS 'How each call of a model went. The service writes it; a person reads and rates their own.';
COMMENT ON COLUMN model_performance_metrics.model IS 'The application''s other name for model_name, kept equal by a trigger.';
COMMENT ON COLUMN model_performance_metrics.tokens_used IS 'The application''s other name for total_tokens, kept equal by a trigger.';
COMMENT ON COLUMN model_performance_metrics.message_id IS 'The application''s own number of the message; a plain value.';
COMMENT ON COLUMN model_performance_metrics.response_time_ms IS 'Milliseconds.';
COMMENT ON COLUMN model_performance_metrics.user_rating IS 'From 1 to 5, by the person.';
COMMENT ON COLUMN model_performance_metrics.quality_score IS 'From 0 to 1, by the application.';
COMMENT ON VIEW model_performance_summary IS 'Each model''s response time, tokens, error rate and ratings.';
COMMENT ON VIEW model_error_rates IS 'Each model''s error rate by day (UTC).';
