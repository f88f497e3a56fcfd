-- name: recommendations_are_ranked
SELECT coalesce(bool_and(value_score <= before), true) AS passed
FROM (SELECT value_score, lag(value_score, 1, 1::numeric) OVER () AS before FROM recommend_model('coding')) AS ranked;

-- name: suggestions_save
SELECT coalesce(bool_and(saving_usd >= 0 AND projected_cost_usd <= current_cost_usd), true) AS passed
FROM suggest_budget_savings();
