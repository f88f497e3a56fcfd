-- name: documented_query runs
SELECT * FROM api_cost_tracking ORDER BY timestamp DESC LIMIT 10;

-- name: documented_query_of_budgets runs
SELECT * FROM budget_config;

-- name: views_add_up
SELECT coalesce((SELECT sum(cost_usd) FROM daily_costs), 0) = calls.cost_usd
   AND coalesce((SELECT sum(cost_usd) FROM monthly_costs), 0) = calls.cost_usd AS passed
FROM (SELECT coalesce(sum(cost_usd), 0) AS cost_usd FROM api_cost_tracking) AS calls;

-- name: totals_add_up
SELECT count(*) = 0 AS passed, '0 months whose total is not that of their calls' AS expected,
       count(*) || ' months whose total is not that of their calls' AS found
FROM budget_spending AS month
LEFT JOIN (SELECT user_id, month, sum(cost_usd) AS cost_usd FROM monthly_costs GROUP BY user_id, month) AS calls
    ON calls.user_id = month.user_id AND calls.month = (month.period_start AT TIME ZONE 'UTC')::date
WHERE month.period = 'month' AND month.spent_usd <> coalesce(calls.cost_usd, 0);

-- name: hours_and_days_make_months
SELECT coalesce(sum(spent_usd) FILTER (WHERE period = 'hour'), 0) = coalesce(sum(spent_usd) FILTER (WHERE period = 'month'), 0)
   AND coalesce(sum(spent_usd) FILTER (WHERE period = 'day'), 0) = coalesce(sum(spent_usd) FILTER (WHERE period = 'month'), 0) AS passed
FROM budget_spending;
