-- What models cost for which task, which one to take, and where a budget could be saved.

ALTER TABLE model_performance_metrics
    ADD COLUMN cost_usd numeric(10,6)
        CONSTRAINT model_performance_metrics_cost_usd_check CHECK (cost_usd >= 0);
COMMENT ON COLUMN model_performance_metrics.cost_usd IS
    'What the call cost: as it was said, else by a trigger, else NULL.';

CREATE INDEX idx_model_performance_metrics_cost
    ON model_performance_metrics (task_type, task_complexity, model_name) INCLUDE (cost_usd) WHERE cost_usd IS NOT NULL;

-- The application does not say what a call cost. By the price in cost_models it is
-- known; without one, it is estimated by what the model's last calls cost for a token.
CREATE FUNCTION model_performance_metrics_price() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    cost numeric;
BEGIN
    SELECT (NEW.input_tokens * price.input_cost_per_million + NEW.output_tokens * price.output_cost_per_million) / 1000000
    INTO cost
    FROM cost_models AS price
    WHERE price.model = coalesce(NEW.model_name, NEW.model) AND (NEW.provider IS NULL OR price.provider = NEW.provider)
      AND price.valid_from <= NEW."timestamp" AND (price.valid_to IS NULL OR price.valid_to > NEW."timestamp")
    ORDER BY price.valid_from DESC
    LIMIT 1;
    IF cost IS NULL THEN
        SELECT sum(recent.cost_usd) / nullif(sum(recent.tokens), 0)
               * coalesce(NEW.total_tokens, NEW.tokens_used, NEW.input_tokens + NEW.output_tokens)
        INTO cost
        FROM (SELECT c.cost_usd, coalesce(nullif(coalesce(c.input_tokens, 0) + coalesce(c.output_tokens, 0), 0), c.tokens_used) AS tokens
              FROM api_cost_tracking AS c
              WHERE c.model = coalesce(NEW.model_name, NEW.model)
              ORDER BY c."timestamp" DESC
              LIMIT 20) AS recent
        WHERE recent.tokens > 0;
    END IF;
    -- An estimate that the column cannot hold is none, and the measurement is written all the same.
    NEW.cost_usd := CASE WHEN cost < 9999 THEN cost END;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION model_performance_metrics_price() IS
    'Trigger: what a call cost, where it is not said: by its price, else by the model''s last 20 calls.';
CREATE TRIGGER model_performance_metrics_price BEFORE INSERT ON model_performance_metrics
    FOR EACH ROW WHEN (NEW.cost_usd IS NULL) EXECUTE FUNCTION model_performance_metrics_price();

-- Quality is from 0 to 1: what people say (1 to 5 stars), else what the application says, times the share of calls that
-- succeed. A model that nobody rated counts as the rated ones of its class do on average, so that to be rated is no
-- disadvantage; where no model is rated, success alone counts.
CREATE FUNCTION model_costs_since(since timestamptz, for_task_type text DEFAULT NULL) RETURNS TABLE (
    task_type text, task_complexity text, model_name text, provider text, requests bigint,
    priced_requests bigint, total_cost_usd numeric, avg_cost_usd numeric,
    counted_requests bigint, total_tokens numeric, priced_tokens numeric, token_cost_usd numeric,
    timed_requests bigint, avg_response_time_ms numeric, success_rate numeric, quality numeric
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    SELECT c.task_type, c.task_complexity, c.model_name, c.provider, c.requests, c.priced_requests, c.total_cost_usd, c.avg_cost_usd,
           c.counted_requests, c.total_tokens, c.priced_tokens, c.token_cost_usd, c.timed_requests, c.avg_response_time_ms, c.success_rate,
           c.success_rate * coalesce(c.rated, avg(c.rated) OVER (PARTITION BY c.task_type, c.task_complexity), 1)
    FROM (
        SELECT coalesce(m.task_type, 'other') AS task_type, coalesce(m.task_complexity, 'medium') AS task_complexity,
               m.model_name, m.provider, count(*) AS requests,
               count(m.cost_usd) AS priced_requests, sum(m.cost_usd) AS total_cost_usd, avg(m.cost_usd) AS avg_cost_usd,
               count(t.tokens) AS counted_requests, sum(t.tokens) AS total_tokens,
               sum(t.tokens) FILTER (WHERE m.cost_usd IS NOT NULL) AS priced_tokens,
               sum(m.cost_usd) FILTER (WHERE t.tokens IS NOT NULL) AS token_cost_usd,
               count(m.response_time_ms) AS timed_requests, avg(m.response_time_ms) AS avg_response_time_ms,
               avg(m.success::integer) AS success_rate,
               coalesce((avg(m.user_rating) - 1) / 4, avg(m.quality_score)::numeric) AS rated
        FROM model_performance_metrics AS m
        CROSS JOIN LATERAL (SELECT nullif(coalesce(m.total_tokens, m.input_tokens + m.output_tokens), 0)::numeric) AS t (tokens)
        WHERE m."timestamp" >= since AND (for_task_type IS NULL OR coalesce(m.task_type, 'other') = for_task_type)
        GROUP BY 1, 2, 3, 4
    ) AS c
$$;
COMMENT ON FUNCTION model_costs_since(timestamptz, text) IS
    'What each model cost and how it did since a moment, by task and complexity, among what the caller may see.';

CREATE VIEW model_task_costs WITH (security_invoker = true) AS
    SELECT task_type, task_complexity, model_name, provider, requests, avg_cost_usd, total_cost_usd, success_rate,
           quality, avg_response_time_ms,
           CASE WHEN success_rate > 0 THEN avg_cost_usd / success_rate END AS cost_per_success,
           1000000 * token_cost_usd / priced_tokens AS cost_per_million_tokens,
           -- Against the dearest model of the class: cheap and good is near 1, dear and good near one half. A cost that
           -- nobody knows counts as the dearest. Where one model alone did such tasks there is nothing to compare.
           CASE WHEN count(*) OVER class > 1 THEN
               round(quality / (1 + CASE WHEN avg_cost_usd IS NULL THEN 1 WHEN avg_cost_usd = 0 THEN 0
                                         ELSE avg_cost_usd / max(avg_cost_usd) OVER class END), 4)
           END AS value_score,
           priced_requests, timed_requests
    FROM model_costs_since('-infinity')
    WINDOW class AS (PARTITION BY task_type, task_complexity);
COMMENT ON VIEW model_task_costs IS 'Each model''s cost, quality and value for a kind of task.';

-- Models are compared by what the tasks of a kind, as all models did them, would cost by each: by its own average
-- where it did tasks of a complexity, else by its cost of a token and the tokens that such a task takes, else by its
-- average of all tasks. So a model that did only the simple tasks does not look cheap for that, and one that alone
-- did the complex ones is compared as well. Quality and success are weighed by complexity in the same way.
CREATE FUNCTION recommend_model(
    for_task_type text,
    for_task_complexity text DEFAULT NULL,
    most_cost_usd numeric DEFAULT NULL,
    least_requests integer DEFAULT 5
) RETURNS TABLE (
    model_name text, provider text, value_score numeric, quality numeric, success_rate numeric, avg_cost_usd numeric,
    avg_response_time_ms numeric, requests bigint, task_cost_usd numeric, cost_per_million_tokens numeric
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    WITH done AS (
        SELECT c.*
        FROM model_costs_since('-infinity', for_task_type) AS c
        WHERE c.task_type = for_task_type AND (for_task_complexity IS NULL OR c.task_complexity = for_task_complexity)
    ),
    classes AS (
        SELECT d.task_complexity, sum(d.requests) AS requests, sum(d.total_tokens) / nullif(sum(d.counted_requests), 0) AS tokens
        FROM done AS d
        GROUP BY d.task_complexity
    ),
    models AS (
        SELECT d.model_name, d.provider, sum(d.requests)::bigint AS requests,
               sum(d.total_cost_usd) / nullif(sum(d.priced_requests), 0) AS avg_cost,
               sum(d.token_cost_usd) / nullif(sum(d.priced_tokens), 0) AS token_cost,
               sum(d.avg_response_time_ms * d.timed_requests) / nullif(sum(d.timed_requests), 0) AS avg_response
        FROM done AS d
        GROUP BY d.model_name, d.provider
        HAVING sum(d.requests) >= least_requests
    ),
    compared AS (
        SELECT m.model_name, m.provider, m.requests, m.avg_cost, m.token_cost, m.avg_response,
               sum(class.requests * coalesce(own.avg_cost_usd, m.token_cost * class.tokens, m.avg_cost)) / sum(class.requests) AS task_cost,
               sum(class.requests * own.quality) / sum(class.requests) FILTER (WHERE own.requests > 0) AS quality,
               sum(class.requests * own.success_rate) / sum(class.requests) FILTER (WHERE own.requests > 0) AS success_rate
        FROM models AS m
        CROSS JOIN classes AS class
        LEFT JOIN done AS own
            ON own.task_complexity = class.task_complexity AND own.model_name = m.model_name
           AND own.provider IS NOT DISTINCT FROM m.provider
        GROUP BY m.model_name, m.provider, m.requests, m.avg_cost, m.token_cost, m.avg_response
    )
    SELECT c.model_name, c.provider,
           round(c.quality / (1 + CASE WHEN c.task_cost IS NULL THEN 1 WHEN c.task_cost = 0 THEN 0
                                       ELSE c.task_cost / max(c.task_cost) OVER () END), 4),
           round(c.quality, 4), round(c.success_rate, 4), round(c.avg_cost, 6), round(c.avg_response, 1), c.requests,
           round(c.task_cost, 6), round(1000000 * c.token_cost, 6)
    FROM compared AS c
    -- Where there is a limit, a model whose cost nobody knows is not recommended.
    WHERE most_cost_usd IS NULL OR c.task_cost <= most_cost_usd
    ORDER BY 3 DESC, c.task_cost NULLS LAST, 1, 2
$$;
COMMENT ON FUNCTION recommend_model(text, text, numeric, integer) IS
    'The models that did a kind of task, the best value first, among what the caller may see. '
    'task_cost_usd is what they are compared by.';

-- What is used and what is suggested are measured over the same days and the same calls. Within a class of tasks
-- only a model of a lower average is suggested, so never each of two for the other. A person's saving is the share
-- by which the suggested model is cheaper: one person's tasks may be larger than another's.
CREATE FUNCTION suggest_budget_savings(
    over_days integer DEFAULT 30,
    least_requests integer DEFAULT 5,
    for_user_id text DEFAULT NULL
) RETURNS TABLE (
    task_type text, task_complexity text, current_model text, suggested_model text, requests bigint,
    current_cost_usd numeric, projected_cost_usd numeric, saving_usd numeric, quality_change numeric,
    user_id text, spent_usd numeric, budget_usd numeric, percent_used numeric, percent_after numeric
)
    LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$
    WITH span AS (SELECT now() - make_interval(days => over_days) AS start),
    -- A model of several providers is one model here.
    models AS (
        SELECT c.task_type, c.task_complexity, c.model_name, sum(c.requests) AS requests,
               sum(c.total_cost_usd) / nullif(sum(c.priced_requests), 0) AS avg_cost,
               sum(c.quality * c.requests) / sum(c.requests) AS quality,
               sum(c.success_rate * c.requests) / sum(c.requests) AS success_rate
        FROM span
        CROSS JOIN LATERAL model_costs_since(span.start) AS c
        GROUP BY c.task_type, c.task_complexity, c.model_name
    ),
    used AS (
        SELECT m.user_id, coalesce(m.task_type, 'other') AS task_type, coalesce(m.task_complexity, 'medium') AS task_complexity,
               m.model_name, count(*) AS requests, sum(m.cost_usd) AS cost
        FROM span
        JOIN model_performance_metrics AS m ON m."timestamp" >= span.start
        WHERE m.cost_usd IS NOT NULL AND (for_user_id IS NULL OR m.user_id = for_user_id)
        GROUP BY 1, 2, 3, 4
    ),
    -- A person's budget for these days, a month taken as 30: the least that any of the limits allows. What was spent
    -- is known from the tracked calls; what was measured alone may be less, or all that is known.
    people AS (
        SELECT own.user_id, greatest(own.cost, tracked.cost) AS spent,
               least(b.monthly_limit, 30 * b.daily_limit, 720 * b.hourly_limit) * over_days / 30 AS budget
        FROM (SELECT u.user_id, sum(u.cost) AS cost FROM used AS u GROUP BY u.user_id) AS own
        LEFT JOIN budget_config AS b ON b.user_id = own.user_id
        CROSS JOIN span
        CROSS JOIN LATERAL (
            SELECT sum(c.cost_usd) FROM api_cost_tracking AS c WHERE c.user_id = own.user_id AND c."timestamp" >= span.start
        ) AS tracked (cost)
    ),
    best AS (
        SELECT DISTINCT ON (used.user_id, used.task_type, used.task_complexity, used.model_name)
               used.*, other.model_name AS suggested, used.cost * other.avg_cost / mine.avg_cost AS projected,
               other.quality - mine.quality AS quality_change
        FROM used
        JOIN models AS mine USING (task_type, task_complexity, model_name)
        JOIN models AS other
            ON other.task_type = used.task_type AND other.task_complexity = used.task_complexity
           AND other.requests >= least_requests AND other.avg_cost < mine.avg_cost
           -- Hardly worse is good enough to be suggested.
           AND other.quality >= mine.quality - 0.05 AND other.success_rate >= mine.success_rate - 0.05
        ORDER BY used.user_id, used.task_type, used.task_complexity, used.model_name, other.avg_cost, other.model_name
    )
    SELECT best.task_type, best.task_complexity, best.model_name, best.suggested, best.requests, round(best.cost, 6), round(best.projected, 6),
           round(best.cost - best.projected, 6), round(best.quality_change, 4),
           best.user_id, round(people.spent, 6), round(people.budget, 2),
           round(100 * people.spent / nullif(people.budget, 0), 2),
           round(100 * (people.spent - best.cost + best.projected) / nullif(people.budget, 0), 2)
    FROM best
    LEFT JOIN people ON people.user_id IS NOT DISTINCT FROM best.user_id
    -- Whoever is past a budget comes first, then what saves most.
    ORDER BY (people.spent > people.budget) DESC NULLS LAST, 8 DESC, 10, 1, 2, 3
$$;
COMMENT ON FUNCTION suggest_budget_savings(integer, integer, text) IS
    'Where a cheaper model did as well, what it would have saved each person in so many days, and what that means for '
    'the budget, among what the caller may see. percent_after is with this suggestion alone.';
