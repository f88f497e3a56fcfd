DROP FUNCTION IF EXISTS suggest_budget_savings(integer, integer);
DROP FUNCTION IF EXISTS recommend_model(text, text, numeric, integer);
DROP VIEW IF EXISTS model_task_costs;
DROP TRIGGER IF EXISTS model_performance_metrics_price ON model_performance_metrics;
DROP FUNCTION IF EXISTS model_performance_metrics_price();
DROP INDEX IF EXISTS idx_model_performance_metrics_cost;
ALTER TABLE IF EXISTS model_performance_metrics DROP CONSTRAINT IF EXISTS model_performance_metrics_cost_usd_check;
ALTER TABLE IF EXISTS model_performance_metrics DROP COLUMN IF EXISTS cost_usd;
