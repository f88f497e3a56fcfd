-- For the service alone.
GRANT SELECT, INSERT, UPDATE, DELETE
    ON mcp_servers, mcp_tools, mcp_prompts, mcp_resources, mcp_health_checks
    TO service_role;
GRANT SELECT ON mcp_server_health TO service_role;
