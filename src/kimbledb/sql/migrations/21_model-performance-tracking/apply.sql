-- How models do: one row for each call, and what they add up to.

CREATE TABLE model_performance_metrics (
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
    CONSTRAINT model_performance_metrics_task_type_check
        CHECK (task_type IN
            ('analysis', 'coding', 'creative', 'file_processing', 'function_calling', 'general', 'general_chat',
             'other', 'reasoning')),
    CONSTRAINT model_performance_metrics_task_complexity_check
        CHECK (task_complexity IN ('complex', 'medium', 'simple')),
    CONSTRAINT model_performance_metrics_response_time_ms_check CHECK (response_time_ms >= 0),
    CONSTRAINT model_performance_metrics_total_tokens_check CHECK (total_tokens >= 0),
    CONSTRAINT model_performance_metrics_input_tokens_check CHECK (input_tokens >= 0),
    CONSTRAINT model_performance_metrics_output_tokens_check CHECK (output_tokens >= 0),
    CONSTRAINT model_performance_metrics_user_rating_check CHECK (user_rating BETWEEN 1 AND 5),
    CONSTRAINT model_performance_metrics_quality_score_check CHECK (quality_score BETWEEN 0 AND 1),
    CONSTRAINT model_performance_metrics_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT model_performance_metrics_conversation_id_fkey
        FOREIGN KEY (conversation_id) REFERENCES conversations (id) ON DELETE SET NULL
);

CREATE INDEX idx_model_performance_metrics_user_id ON model_performance_metrics (user_id, "timestamp" DESC);
CREATE INDEX idx_model_performance_metrics_conversation_id ON model_performance_metrics (conversation_id);
CREATE INDEX idx_model_performance_metrics_model_name ON model_performance_metrics (model_name, "timestamp" DESC);
CREATE INDEX idx_model_performance_metrics_model ON model_performance_metrics (model);
CREATE INDEX idx_model_performance_metrics_task_type ON model_performance_metrics (task_type, model_name);
CREATE INDEX idx_model_performance_metrics_timestamp ON model_performance_metrics ("timestamp" DESC);
CREATE INDEX idx_model_performance_metrics_failures ON model_performance_metrics (model_name, "timestamp" DESC)
    WHERE NOT success;

CREATE FUNCTION model_performance_metrics_sync_model_name() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $sync_model_name$
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
$sync_model_name$;
COMMENT ON FUNCTION model_performance_metrics_sync_model_name() IS
    'Trigger: keeps model_name and the application''s model equal.';
CREATE TRIGGER model_performance_metrics_sync_model_name
    BEFORE INSERT OR UPDATE OF model_name, model ON model_performance_metrics
    FOR EACH ROW EXECUTE FUNCTION model_performance_metrics_sync_model_name();

CREATE FUNCTION model_performance_metrics_sync_total_tokens() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $sync_total_tokens$
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
$sync_total_tokens$;
COMMENT ON FUNCTION model_performance_metrics_sync_total_tokens() IS
    'Trigger: keeps total_tokens and the application''s tokens_used equal.';
CREATE TRIGGER model_performance_metrics_sync_total_tokens
    BEFORE INSERT OR UPDATE OF total_tokens, tokens_used ON model_performance_metrics
    FOR EACH ROW EXECUTE FUNCTION model_performance_metrics_sync_total_tokens();

CREATE VIEW model_performance_summary WITH (security_invoker = true) AS
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

CREATE VIEW model_error_rates WITH (security_invoker = true) AS
    SELECT model_name, date_trunc('day', "timestamp" AT TIME ZONE 'UTC')::date AS day, count(*) AS requests,
           count(*) FILTER (WHERE NOT success) AS errors,
           round(count(*) FILTER (WHERE NOT success)::numeric / count(*), 4) AS error_rate,
           avg(response_time_ms) AS avg_response_time_ms
    FROM model_performance_metrics
    GROUP BY model_name, date_trunc('day', "timestamp" AT TIME ZONE 'UTC');

ALTER TABLE model_performance_metrics ENABLE ROW LEVEL SECURITY;

CREATE POLICY model_performance_metrics_owner_read ON model_performance_metrics FOR SELECT
    USING (user_id = (SELECT requesting_user_id()));
CREATE POLICY model_performance_metrics_owner_rate ON model_performance_metrics FOR UPDATE
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));

COMMENT ON TABLE model_performance_metrics IS
    'How each call of a model went. The service writes it; a person reads and rates their own.';
COMMENT ON COLUMN model_performance_metrics.model IS
    'The application''s other name for model_name, kept equal by a trigger.';
COMMENT ON COLUMN model_performance_metrics.tokens_used IS
    'The application''s other name for total_tokens, kept equal by a trigger.';
COMMENT ON COLUMN model_performance_metrics.message_id IS
    'The application''s own number of the message; a plain value.';
COMMENT ON COLUMN model_performance_metrics.response_time_ms IS 'Milliseconds.';
COMMENT ON COLUMN model_performance_metrics.user_rating IS 'From 1 to 5, by the person.';
COMMENT ON COLUMN model_performance_metrics.quality_score IS 'From 0 to 1, by the application.';
COMMENT ON VIEW model_performance_summary IS 'Each model''s response time, tokens, error rate and ratings.';
COMMENT ON VIEW model_error_rates IS 'Each model''s error rate by day (UTC).';
