DROP VIEW IF EXISTS monthly_costs;
DROP VIEW IF EXISTS daily_costs;
DROP TABLE IF EXISTS cost_models;
DROP TABLE IF EXISTS budget_alerts;
DROP TABLE IF EXISTS budget_config;
DROP TABLE IF EXISTS api_cost_tracking;
DROP FUNCTION IF EXISTS api_cost_tracking_alert();
