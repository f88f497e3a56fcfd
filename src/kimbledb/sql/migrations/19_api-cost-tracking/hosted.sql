GRANT SELECT ON api_cost_tracking TO authenticated;
GRANT SELECT, UPDATE (acknowledged, acknowledged_at, acknowledged_by) ON budget_alerts TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON budget_config TO authenticated, service_role;
GRANT SELECT, INSERT, UPDATE, DELETE ON api_cost_tracking, budget_alerts, cost_models TO service_role;
GRANT SELECT ON budget_spending, daily_costs, monthly_costs TO authenticated, service_role;
