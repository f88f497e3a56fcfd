-- Takes back zapier-webhook-logs.sql.
DROP FUNCTION IF EXISTS zapier_webhook_allowance(text, integer, interval);
DROP VIEW IF EXISTS zapier_webhook_rates;
DROP TABLE IF EXISTS zapier_webhook_logs;
