-- name: documented_query runs
SELECT model_name, AVG(response_time_ms) as avg_response,
       AVG(total_tokens) as avg_tokens
FROM model_performance_metrics
GROUP BY model_name;

-- name: two_names_agree
SELECT count(*) = 0 AS passed, '0 rows that disagree' AS expected, count(*) || ' rows that disagree' AS found
FROM model_performance_metrics
WHERE model_name IS DISTINCT FROM model OR total_tokens IS DISTINCT FROM tokens_used;
