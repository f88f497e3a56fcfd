-- The same where there are measurements already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE model_performance_metrics ADD COLUMN IF NOT EXISTS cost_usd numeric(10,6);

-- The check holds for new rows at once, and for those that are there when they have been looked at.
ALTER TABLE model_performance_metrics
    DROP CONSTRAINT IF EXISTS model_performance_metrics_cost_usd_check,
    ADD CONSTRAINT model_performance_metrics_cost_usd_check CHECK (cost_usd >= 0) NOT VALID;
ALTER TABLE model_performance_metrics VALIDATE CONSTRAINT model_performance_metrics_cost_usd_check;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_model_performance_metrics_cost
    ON model_performance_metrics (task_type, task_complexity, model_name) INCLUDE (cost_usd) WHERE cost_usd IS NOT NULL;
