DROP VIEW IF EXISTS model_error_rates;
DROP VIEW IF EXISTS model_performance_summary;
DROP TABLE IF EXISTS model_performance_metrics;
DROP FUNCTION IF EXISTS model_performance_metrics_sync_total_tokens();
DROP FUNCTION IF EXISTS model_performance_metrics_sync_model_name();
