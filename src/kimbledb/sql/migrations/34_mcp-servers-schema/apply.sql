-- mcp-servers-schema.sql
--
-- The MCP servers that the application knows, what each offers (tools, prompts,
-- resources), and how it goes with them: a health check that is inserted brings
-- its server's status up to date. For the service alone, since a server's
-- settings hold secrets: no policy, and no grant to people.
--
-- active is the documented column; the application says enabled. Both work, for
-- reading and writing, and a trigger keeps them equal.

CREATE TABLE mcp_servers (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text NOT NULL,
    description text,
    transport text NOT NULL DEFAULT 'stdio',
    command text,
    args jsonb DEFAULT '[]'::jsonb,
    url text,
    env jsonb DEFAULT '{}'::jsonb,
    capabilities jsonb DEFAULT '{}'::jsonb,
    timeout integer DEFAULT 30000,
    retry_attempts integer DEFAULT 3,
    retry_delay integer DEFAULT 1000,
    health_check_interval integer DEFAULT 60000,
    health_check_timeout integer DEFAULT 5000,
    -- A trigger fills in the default. With one on a column, an INSERT that names the
    -- other column could not be told from one that names both.
    active boolean NOT NULL,
    enabled boolean,
    priority integer DEFAULT 0,
    tags text[] DEFAULT '{}',
    status text NOT NULL DEFAULT 'unknown',
    status_changed_at timestamptz,
    last_health_check timestamptz,
    last_error text,
    consecutive_failures integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_servers_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_servers_name_key UNIQUE (name),
    CONSTRAINT mcp_servers_transport_check CHECK (transport IN ('http', 'sse', 'stdio')),
    CONSTRAINT mcp_servers_status_check CHECK (status IN ('unknown', 'healthy', 'degraded', 'unhealthy')),
    CONSTRAINT mcp_servers_timeout_check CHECK (timeout >= 0),
    CONSTRAINT mcp_servers_retry_attempts_check CHECK (retry_attempts >= 0),
    CONSTRAINT mcp_servers_retry_delay_check CHECK (retry_delay >= 0),
    CONSTRAINT mcp_servers_health_check_interval_check CHECK (health_check_interval >= 0),
    CONSTRAINT mcp_servers_health_check_timeout_check CHECK (health_check_timeout >= 0),
    CONSTRAINT mcp_servers_consecutive_failures_check CHECK (consecutive_failures >= 0)
);

CREATE TABLE mcp_tools (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    name text NOT NULL,
    title text,
    description text,
    input_schema jsonb NOT NULL DEFAULT '{}'::jsonb,
    output_schema jsonb,
    annotations jsonb NOT NULL DEFAULT '{}'::jsonb,
    active boolean NOT NULL DEFAULT true,
    usage_count bigint NOT NULL DEFAULT 0,
    last_used_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_tools_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_tools_server_id_name_key UNIQUE (server_id, name),
    CONSTRAINT mcp_tools_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_tools_usage_count_check CHECK (usage_count >= 0)
);

CREATE TABLE mcp_prompts (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    name text NOT NULL,
    title text,
    description text,
    arguments jsonb NOT NULL DEFAULT '[]'::jsonb,
    template text,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_prompts_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_prompts_server_id_name_key UNIQUE (server_id, name),
    CONSTRAINT mcp_prompts_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_prompts_arguments_check CHECK (jsonb_typeof(arguments) = 'array')
);

CREATE TABLE mcp_resources (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    uri text NOT NULL,
    name text,
    title text,
    description text,
    mime_type text,
    size_bytes bigint,
    annotations jsonb NOT NULL DEFAULT '{}'::jsonb,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_resources_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_resources_server_id_uri_key UNIQUE (server_id, uri),
    CONSTRAINT mcp_resources_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_resources_size_bytes_check CHECK (size_bytes >= 0)
);

CREATE TABLE mcp_health_checks (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    status text NOT NULL,
    response_time_ms integer,
    error_message text,
    details jsonb NOT NULL DEFAULT '{}'::jsonb,
    checked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_health_checks_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_health_checks_server_id_fkey FOREIGN KEY (server_id) REFERENCES mcp_servers (id) ON DELETE CASCADE,
    CONSTRAINT mcp_health_checks_status_check CHECK (status IN ('healthy', 'degraded', 'unhealthy')),
    CONSTRAINT mcp_health_checks_response_time_ms_check CHECK (response_time_ms >= 0)
);

-- The unique keys of tools, prompts and resources begin with server_id.
CREATE INDEX idx_mcp_servers_active ON mcp_servers (priority DESC, name) WHERE active;
CREATE INDEX idx_mcp_servers_transport ON mcp_servers (transport);
CREATE INDEX idx_mcp_servers_tags ON mcp_servers USING gin (tags);
CREATE INDEX idx_mcp_health_checks_server_id_checked_at ON mcp_health_checks (server_id, checked_at DESC);
CREATE INDEX idx_mcp_health_checks_checked_at ON mcp_health_checks (checked_at);

COMMENT ON TABLE mcp_servers IS 'The MCP servers that the application knows. For the service alone.';
COMMENT ON COLUMN mcp_servers.transport IS 'How it is reached: stdio (command, args, env), http or sse (url).';
COMMENT ON COLUMN mcp_servers.env IS 'The environment of the command; may hold secrets.';
COMMENT ON COLUMN mcp_servers.capabilities IS 'What the server said it can do.';
COMMENT ON COLUMN mcp_servers.timeout IS 'Milliseconds that an answer may take.';
COMMENT ON COLUMN mcp_servers.retry_delay IS 'Milliseconds between two attempts.';
COMMENT ON COLUMN mcp_servers.health_check_interval IS 'Milliseconds between two health checks.';
COMMENT ON COLUMN mcp_servers.health_check_timeout IS 'Milliseconds that a health check may take.';
COMMENT ON COLUMN mcp_servers.active IS 'Whether it is used; enabled is the same.';
COMMENT ON COLUMN mcp_servers.enabled IS 'The application''s name for active, kept equal by a trigger.';
COMMENT ON COLUMN mcp_servers.status IS 'What the latest health check said; unknown before the first.';
COMMENT ON COLUMN mcp_servers.status_changed_at IS 'Since when the status is what it is.';
COMMENT ON COLUMN mcp_servers.last_health_check IS 'When the latest health check was.';
COMMENT ON COLUMN mcp_servers.last_error IS 'What the latest health check that was not healthy said.';
COMMENT ON COLUMN mcp_servers.consecutive_failures IS 'The unhealthy checks since one that was not.';
COMMENT ON TABLE mcp_tools IS 'The tools that a server offers. For the service alone.';
COMMENT ON COLUMN mcp_tools.input_schema IS 'The JSON Schema of the arguments.';
COMMENT ON COLUMN mcp_tools.output_schema IS 'The JSON Schema of the result, where the server gives one.';
COMMENT ON COLUMN mcp_tools.annotations IS 'What the server says of its behaviour, such as whether it only reads.';
COMMENT ON TABLE mcp_prompts IS 'The prompts that a server offers, to be used again. For the service alone.';
COMMENT ON COLUMN mcp_prompts.arguments IS 'The arguments that a prompt takes, a list.';
COMMENT ON COLUMN mcp_prompts.template IS 'The text, where it is kept here.';
COMMENT ON TABLE mcp_resources IS 'The resources that a server shares. For the service alone.';
COMMENT ON COLUMN mcp_resources.annotations IS 'What the server says of it, such as for whom it is.';
COMMENT ON TABLE mcp_health_checks IS 'Health checks of servers. For the service alone.';
COMMENT ON COLUMN mcp_health_checks.status IS 'healthy; degraded: it answers, but not well; unhealthy: it does not.';

CREATE FUNCTION mcp_servers_sync_active() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.active <> NEW.enabled THEN
            RAISE EXCEPTION 'mcp_servers.active (%) and mcp_servers.enabled (%) are one value under two names, and differ', NEW.active, NEW.enabled
                USING ERRCODE = 'check_violation', HINT = 'Give one of them, or both alike.';
        END IF;
        NEW.active := coalesce(NEW.active, NEW.enabled, true);
        NEW.enabled := NEW.active;
    ELSIF NEW.active IS NOT DISTINCT FROM OLD.active THEN
        NEW.active := NEW.enabled;
    ELSIF NEW.enabled IS NOT DISTINCT FROM OLD.enabled THEN
        NEW.enabled := NEW.active;
    ELSIF NEW.active IS DISTINCT FROM NEW.enabled THEN
        RAISE EXCEPTION 'mcp_servers.active (%) and mcp_servers.enabled (%) are one value under two names, and differ', NEW.active, NEW.enabled
            USING ERRCODE = 'check_violation', HINT = 'Change one of them, or both alike.';
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION mcp_servers_sync_active() IS
    'Trigger: keeps active and the application''s enabled equal: '
    'the changed one wins; both changed and different is an error.';

CREATE FUNCTION mcp_health_checks_update_server() RETURNS trigger
LANGUAGE plpgsql SECURITY INVOKER SET search_path FROM CURRENT
AS $function$
BEGIN
    -- A check that comes in late does not undo what a later one said.
    UPDATE mcp_servers AS server
    SET status = NEW.status,
        status_changed_at = CASE WHEN server.status = NEW.status THEN server.status_changed_at ELSE NEW.checked_at END,
        last_health_check = NEW.checked_at,
        last_error = CASE WHEN NEW.status = 'healthy' THEN server.last_error ELSE coalesce(NEW.error_message, server.last_error) END,
        consecutive_failures = CASE WHEN NEW.status = 'unhealthy' THEN server.consecutive_failures + 1 ELSE 0 END
    WHERE server.id = NEW.server_id AND (server.last_health_check IS NULL OR server.last_health_check <= NEW.checked_at);
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION mcp_health_checks_update_server() IS
    'Trigger: brings a server''s status, last_health_check and failures up to date with the check that was inserted.';

CREATE TRIGGER mcp_servers_sync_active
    BEFORE INSERT OR UPDATE OF active, enabled ON mcp_servers
    FOR EACH ROW EXECUTE FUNCTION mcp_servers_sync_active();

CREATE TRIGGER mcp_health_checks_update_server
    AFTER INSERT ON mcp_health_checks
    FOR EACH ROW EXECUTE FUNCTION mcp_health_checks_update_server();

CREATE TRIGGER mcp_servers_set_updated_at
    BEFORE UPDATE ON mcp_servers
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER mcp_tools_set_updated_at
    BEFORE UPDATE ON mcp_tools
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER mcp_prompts_set_updated_at
    BEFORE UPDATE ON mcp_prompts
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER mcp_resources_set_updated_at
    BEFORE UPDATE ON mcp_resources
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE VIEW mcp_server_health WITH (security_invoker = true) AS
SELECT server.id,
       server.name,
       server.active,
       server.status,
       server.status_changed_at,
       server.last_health_check,
       server.consecutive_failures,
       server.active AND (
           server.last_health_check IS NULL
           OR server.last_health_check < now() - 2 * server.health_check_interval * interval '1 millisecond'
       ) AS overdue,
       recent.checks AS checks_24h,
       recent.uptime AS uptime_24h,
       recent.average_ms AS average_ms_24h
FROM mcp_servers AS server
CROSS JOIN LATERAL (
    SELECT count(*) AS checks,
           avg((probe.status <> 'unhealthy')::integer)::double precision AS uptime,
           avg(probe.response_time_ms)::double precision AS average_ms
    FROM mcp_health_checks AS probe
    WHERE probe.server_id = server.id AND probe.checked_at > now() - interval '24 hours'
) AS recent;
COMMENT ON VIEW mcp_server_health IS
    'How it goes with each server: its status, whether its health check is overdue, '
    'and the share of checks in the last 24 hours that it answered.';

ALTER TABLE mcp_servers ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_tools ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_prompts ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_resources ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_health_checks ENABLE ROW LEVEL SECURITY;
