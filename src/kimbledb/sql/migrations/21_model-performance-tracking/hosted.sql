GRANT SELECT, UPDATE (user_rating) ON model_performance_metrics TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON model_performance_metrics TO service_role;
GRANT SELECT ON model_performance_summary, model_error_rates TO authenticated, service_role;
