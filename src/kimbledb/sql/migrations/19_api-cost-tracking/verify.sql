-- name: documented_query runs
SELECT * FROM api_cost_tracking ORDER BY timestamp DESC LIMIT 10;

-- name: documented_query_of_budgets runs
SELECT * FROM budget_config;

-- name: views_add_up
SELECT coalesce((SELECT sum(cost_usd) FROM daily_costs), 0) = calls.cost_usd
   AND coalesce((SELECT sum(cost_usd) FROM monthly_costs), 0) = calls.cost_usd AS passed
FROM (SELECT coalesce(sum(cost_usd), 0) AS cost_usd FROM api_cost_tracking) AS calls;
