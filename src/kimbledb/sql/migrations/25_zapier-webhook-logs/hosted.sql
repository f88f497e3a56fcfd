-- People read what was called for them; the service writes.
GRANT SELECT ON zapier_webhook_logs, zapier_webhook_rates TO authenticated;
GRANT SELECT, INSERT, UPDATE, DELETE ON zapier_webhook_logs TO service_role;
GRANT SELECT ON zapier_webhook_rates TO service_role;
GRANT EXECUTE ON FUNCTION zapier_webhook_allowance(text, integer, interval) TO authenticated, service_role;
