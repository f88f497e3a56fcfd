-- Takes back mcp-servers-schema.sql.
DROP VIEW IF EXISTS mcp_server_health;
DROP TABLE IF EXISTS mcp_health_checks;
DROP TABLE IF EXISTS mcp_resources;
DROP TABLE IF EXISTS mcp_prompts;
DROP TABLE IF EXISTS mcp_tools;
DROP TABLE IF EXISTS mcp_servers;
DROP FUNCTION IF EXISTS mcp_health_checks_update_server();
DROP FUNCTION IF EXISTS mcp_servers_sync_active();
