-- name: recommendations_are_ranked
SELECT coalesce(bool_and(value_score <= before), true) AS passed
FROM (SELECT value_score, lag(value_score, 1, 1::numeric) OVER () AS before FROM recommend_model('coding')) AS ranked;

-- name: suggestions_save
SELECT coalesce(bool_and(saving_usd >= 0 AND projected_cost_usd <= current_cost_usd), true) AS passed
FROM suggest_budget_savings();

-- name: suggestions_go_one_way
WITH suggestion AS MATERIALIZED (SELECT * FROM suggest_budget_savings())
SELECT count(*) = 0 AS passed, '0 pairs of models suggested for each other' AS expected,
       count(*) || ' pairs of models suggested for each other' AS found
FROM suggestion AS one
JOIN suggestion AS two USING (task_type, task_complexity)
WHERE one.current_model = two.suggested_model AND one.suggested_model = two.current_model;
