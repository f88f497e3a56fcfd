-- What models cost for which task, which one to take, and where a budget could be saved.

ALTER TABLE model_performance_metrics
    ADD COLUMN IF NOT EXISTS cost_usd numeric(10,6)
        CONSTRAINT model_performance_metrics_cost_usd_check CHECK (cost_usd >= 0);
COMMENT ON COLUMN model_performance_metrics.cost_usd IS
    'What the call cost: as it was said, else by a trigger, else NULL.';

CREATE INDEX IF NOT EXISTS idx_model_performance_metrics_cost
    ON model_performance_metrics (task_type, task_complexity, model_name) INCLUDE (cost_usd) WHERE cost_usd IS NOT NULL;

-- The application does not say what a call cost. By the price in cost_models it is
-- known; without one, it is estimated by what the model's last calls cost for a token.
CREATE FUNCTION model_performance_metrics_price() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    SELECT (NEW.input_tokens * price.input_cost_per_million + NEW.output_tokens * price.output_cost_per_million) / 1000000
    INTO NEW.cost_usd
    FROM cost_models AS price
    WHERE price.model = coalesce(NEW.model_name, NEW.model) AND (NEW.provider IS NULL OR price.provider = NEW.provider)
      AND price.valid_from <= NEW."timestamp" AND (price.valid_to IS NULL OR price.valid_to > NEW."timestamp")
    ORDER BY price.valid_from DESC
    LIMIT 1;
    IF NEW.cost_usd IS NULL THEN
        SELECT sum(recent.cost_usd) / nullif(sum(recent.tokens), 0)
               * coalesce(NEW.total_tokens, NEW.tokens_used, NEW.input_tokens + NEW.output_tokens)
        INTO NEW.cost_usd
        FROM (SELECT c.cost_usd, coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0) AS tokens
              FROM api_cost_tracking AS c
              WHERE c.model = coalesce(NEW.model_name, NEW.model)
              ORDER BY c."timestamp" DESC
              LIMIT 20) AS recent
        WHERE recent.tokens > 0;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION model_performance_metrics_price() IS
    'Trigger: what a call cost, where it is not said: by its price, else by the model''s last 20 calls.';
CREATE TRIGGER model_performance_metrics_price BEFORE INSERT ON model_performance_metrics
    FOR EACH ROW WHEN (NEW.cost_usd IS NULL) EXECUTE FUNCTION model_performance_metrics_price();

-- Quality is from 0 to 1: what people say (1 to 5 stars), else what the application
-- says, else whether calls succeed. A failed call counts against a model once.
CREATE VIEW model_task_costs WITH (security_invoker = true) AS
    SELECT task_type, task_complexity, model_name, provider, requests, avg_cost_usd, total_cost_usd, success_rate,
           coalesce(rated, success_rate) AS quality, avg_response_time_ms,
           CASE WHEN success_rate > 0 THEN avg_cost_usd / success_rate END AS cost_per_success,
           -- Against the dearest model for the same task: cheap and good is near 1, dear and good near one half.
           -- A cost that nobody knows counts as the dearest, so that it is never a reason to take a model.
           round(coalesce(rated * success_rate, success_rate)
                 / (1 + CASE WHEN avg_cost_usd IS NULL THEN 1 WHEN avg_cost_usd = 0 THEN 0
                             ELSE avg_cost_usd / max(avg_cost_usd) OVER (PARTITION BY task_type, task_complexity) END),
                 4) AS value_score,
           priced_requests, timed_requests
    FROM (
        SELECT coalesce(task_type, 'other') AS task_type, coalesce(task_complexity, 'medium') AS task_complexity,
               model_name, provider, count(*) AS requests,
               avg(cost_usd) AS avg_cost_usd, sum(cost_usd) AS total_cost_usd, avg(success::integer) AS success_rate,
               coalesce((avg(user_rating) - 1) / 4, avg(quality_score)::numeric) AS rated,
               avg(response_time_ms) AS avg_response_time_ms,
               count(cost_usd) AS priced_requests, count(response_time_ms) AS timed_requests
        FROM model_performance_metrics
        GROUP BY coalesce(task_type, 'other'), coalesce(task_complexity, 'medium'), model_name, provider
    ) AS by_task;
COMMENT ON VIEW model_task_costs IS 'Each model''s cost, quality and value for a kind of task.';

CREATE FUNCTION recommend_model(
    for_task_type text,
    for_task_complexity text DEFAULT NULL,
    most_cost_usd numeric DEFAULT NULL,
    least_requests integer DEFAULT 5
) RETURNS TABLE (
    model_name text, provider text, value_score numeric, quality numeric, success_rate numeric, avg_cost_usd numeric,
    avg_response_time_ms numeric, requests bigint
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    SELECT c.model_name, c.provider,
           round(sum(c.value_score * c.requests) / sum(c.requests), 4),
           round(sum(c.quality * c.requests) / sum(c.requests), 4),
           round(sum(c.success_rate * c.requests) / sum(c.requests), 4),
           round(sum(c.total_cost_usd) / nullif(sum(c.priced_requests), 0), 6),
           round(sum(c.avg_response_time_ms * c.timed_requests) / nullif(sum(c.timed_requests), 0), 1),
           sum(c.requests)::bigint
    FROM model_task_costs AS c
    WHERE c.task_type = for_task_type
      AND (for_task_complexity IS NULL OR c.task_complexity = for_task_complexity)
    GROUP BY c.model_name, c.provider
    HAVING sum(c.requests) >= least_requests
       -- Where there is a limit, a model whose cost nobody knows is not recommended.
       AND (most_cost_usd IS NULL OR sum(c.total_cost_usd) / nullif(sum(c.priced_requests), 0) <= most_cost_usd)
    ORDER BY 3 DESC, 6 NULLS LAST, 1, 2
$$;
COMMENT ON FUNCTION recommend_model(text, text, numeric, integer) IS
    'The models that did well for a kind of task, the best value first, among what the caller may see.';

CREATE FUNCTION suggest_budget_savings(
    over_days integer DEFAULT 30,
    least_requests integer DEFAULT 5
) RETURNS TABLE (
    task_type text, task_complexity text, current_model text, suggested_model text, requests bigint,
    current_cost_usd numeric, projected_cost_usd numeric, saving_usd numeric, quality_change numeric
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    WITH recent AS (
        SELECT coalesce(m.task_type, 'other') AS task_type, coalesce(m.task_complexity, 'medium') AS task_complexity,
               m.model_name, count(*) AS requests, sum(m.cost_usd) AS cost, avg(m.cost_usd) AS avg_cost
        FROM model_performance_metrics AS m
        WHERE m."timestamp" > now() - make_interval(days => over_days) AND m.cost_usd IS NOT NULL
        GROUP BY 1, 2, 3
    ),
    -- A model of several providers is one model here.
    models AS (
        SELECT c.task_type, c.task_complexity, c.model_name, sum(c.requests) AS requests,
               sum(c.total_cost_usd) / nullif(sum(c.priced_requests), 0) AS avg_cost,
               sum(c.quality * c.requests) / sum(c.requests) AS quality,
               sum(c.success_rate * c.requests) / sum(c.requests) AS success_rate
        FROM model_task_costs AS c
        GROUP BY c.task_type, c.task_complexity, c.model_name
    )
    SELECT DISTINCT ON (used.task_type, used.task_complexity, used.model_name)
           used.task_type, used.task_complexity, used.model_name, other.model_name, used.requests, round(used.cost, 6),
           round(other.avg_cost * used.requests, 6), round(used.cost - other.avg_cost * used.requests, 6),
           round(other.quality - mine.quality, 4)
    FROM recent AS used
    JOIN models AS mine USING (task_type, task_complexity, model_name)
    JOIN models AS other
        ON other.task_type = used.task_type AND other.task_complexity = used.task_complexity
       AND other.model_name <> used.model_name AND other.requests >= least_requests
       AND other.avg_cost < used.avg_cost
       -- Hardly worse is good enough to be suggested.
       AND other.quality >= mine.quality - 0.05 AND other.success_rate >= mine.success_rate - 0.05
    ORDER BY used.task_type, used.task_complexity, used.model_name, other.avg_cost, other.model_name
$$;
COMMENT ON FUNCTION suggest_budget_savings(integer, integer) IS
    'Where a cheaper model did as well, and what it would have saved in so many days, among what the caller may see.';
