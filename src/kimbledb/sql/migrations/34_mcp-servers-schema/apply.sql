-- mcp-servers-schema.sql
--
-- The MCP servers that the application knows, what each offers (tools, prompts,
-- resources), and how it goes with them: a health check that is inserted brings
-- its server's status up to date. For the service alone, since a server's
-- settings hold secrets: no policy, and no grant to people.
--
-- active is the documented column; the application says enabled. Both work, for
-- reading and writing, and a trigger keeps them equal.

CREATE TABLE IF NOT EXISTS mcp_servers (
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
ALTER TABLE mcp_servers
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS transport text NOT NULL DEFAULT 'stdio',
    ADD COLUMN IF NOT EXISTS command text,
    ADD COLUMN IF NOT EXISTS args jsonb DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS url text,
    ADD COLUMN IF NOT EXISTS env jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS capabilities jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS timeout integer DEFAULT 30000,
    ADD COLUMN IF NOT EXISTS retry_attempts integer DEFAULT 3,
    ADD COLUMN IF NOT EXISTS retry_delay integer DEFAULT 1000,
    ADD COLUMN IF NOT EXISTS health_check_interval integer DEFAULT 60000,
    ADD COLUMN IF NOT EXISTS health_check_timeout integer DEFAULT 5000,
    ADD COLUMN IF NOT EXISTS active boolean,
    ADD COLUMN IF NOT EXISTS enabled boolean,
    ADD COLUMN IF NOT EXISTS priority integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS tags text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'unknown',
    ADD COLUMN IF NOT EXISTS status_changed_at timestamptz,
    ADD COLUMN IF NOT EXISTS last_health_check timestamptz,
    ADD COLUMN IF NOT EXISTS last_error text,
    ADD COLUMN IF NOT EXISTS consecutive_failures integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS mcp_tools (
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
    CONSTRAINT mcp_tools_usage_count_check CHECK (usage_count >= 0)
);
ALTER TABLE mcp_tools
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS server_id uuid,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS input_schema jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS output_schema jsonb,
    ADD COLUMN IF NOT EXISTS annotations jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS usage_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_used_at timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS mcp_prompts (
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
    CONSTRAINT mcp_prompts_arguments_check CHECK (jsonb_typeof(arguments) = 'array')
);
ALTER TABLE mcp_prompts
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS server_id uuid,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS arguments jsonb NOT NULL DEFAULT '[]'::jsonb,
    ADD COLUMN IF NOT EXISTS template text,
    ADD COLUMN IF NOT EXISTS active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS mcp_resources (
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
    CONSTRAINT mcp_resources_size_bytes_check CHECK (size_bytes >= 0)
);
ALTER TABLE mcp_resources
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS server_id uuid,
    ADD COLUMN IF NOT EXISTS uri text,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS mime_type text,
    ADD COLUMN IF NOT EXISTS size_bytes bigint,
    ADD COLUMN IF NOT EXISTS annotations jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS mcp_health_checks (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    server_id uuid NOT NULL,
    status text NOT NULL,
    response_time_ms integer,
    error_message text,
    details jsonb NOT NULL DEFAULT '{}'::jsonb,
    checked_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT mcp_health_checks_pkey PRIMARY KEY (id),
    CONSTRAINT mcp_health_checks_status_check CHECK (status IN ('healthy', 'degraded', 'unhealthy')),
    CONSTRAINT mcp_health_checks_response_time_ms_check CHECK (response_time_ms >= 0)
);
ALTER TABLE mcp_health_checks
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS server_id uuid,
    ADD COLUMN IF NOT EXISTS status text,
    ADD COLUMN IF NOT EXISTS response_time_ms integer,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS details jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS checked_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have a column without its default, or with NULL in it:
-- it gets the default, and NOT NULL where no NULL is left.
ALTER TABLE mcp_servers
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN transport SET DEFAULT 'stdio',
    ALTER COLUMN args SET DEFAULT '[]'::jsonb,
    ALTER COLUMN env SET DEFAULT '{}'::jsonb,
    ALTER COLUMN capabilities SET DEFAULT '{}'::jsonb,
    ALTER COLUMN timeout SET DEFAULT 30000,
    ALTER COLUMN retry_attempts SET DEFAULT 3,
    ALTER COLUMN retry_delay SET DEFAULT 1000,
    ALTER COLUMN health_check_interval SET DEFAULT 60000,
    ALTER COLUMN health_check_timeout SET DEFAULT 5000,
    ALTER COLUMN priority SET DEFAULT 0,
    ALTER COLUMN tags SET DEFAULT '{}',
    ALTER COLUMN status SET DEFAULT 'unknown',
    ALTER COLUMN consecutive_failures SET DEFAULT 0,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE mcp_tools
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN input_schema SET DEFAULT '{}'::jsonb,
    ALTER COLUMN annotations SET DEFAULT '{}'::jsonb,
    ALTER COLUMN active SET DEFAULT true,
    ALTER COLUMN usage_count SET DEFAULT 0,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE mcp_prompts
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN arguments SET DEFAULT '[]'::jsonb,
    ALTER COLUMN active SET DEFAULT true,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE mcp_resources
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN annotations SET DEFAULT '{}'::jsonb,
    ALTER COLUMN active SET DEFAULT true,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE mcp_health_checks
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN details SET DEFAULT '{}'::jsonb,
    ALTER COLUMN checked_at SET DEFAULT now();
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT tab.relname, col.attname, col.atthasdef
        FROM pg_catalog.pg_attribute AS col
        JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attnotnull AND NOT col.attisdropped
          AND (tab.relname, col.attname) IN (
            ('mcp_servers', 'id'), ('mcp_servers', 'name'), ('mcp_servers', 'transport'), ('mcp_servers', 'status'),
            ('mcp_servers', 'consecutive_failures'), ('mcp_servers', 'created_at'), ('mcp_servers', 'updated_at'),
            ('mcp_tools', 'id'), ('mcp_tools', 'server_id'), ('mcp_tools', 'name'), ('mcp_tools', 'input_schema'),
            ('mcp_tools', 'annotations'), ('mcp_tools', 'active'), ('mcp_tools', 'usage_count'),
            ('mcp_tools', 'created_at'), ('mcp_tools', 'updated_at'),
            ('mcp_prompts', 'id'), ('mcp_prompts', 'server_id'), ('mcp_prompts', 'name'),
            ('mcp_prompts', 'arguments'), ('mcp_prompts', 'active'), ('mcp_prompts', 'created_at'),
            ('mcp_prompts', 'updated_at'),
            ('mcp_resources', 'id'), ('mcp_resources', 'server_id'), ('mcp_resources', 'uri'),
            ('mcp_resources', 'annotations'), ('mcp_resources', 'active'), ('mcp_resources', 'created_at'),
            ('mcp_resources', 'updated_at'),
            ('mcp_health_checks', 'id'), ('mcp_health_checks', 'server_id'), ('mcp_health_checks', 'status'),
            ('mcp_health_checks', 'details'), ('mcp_health_checks', 'checked_at'))
    LOOP
        IF loose.atthasdef THEN
            EXECUTE format('UPDATE %I SET %I = DEFAULT WHERE %2$I IS NULL', loose.relname, loose.attname);
        END IF;
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE %I IS NULL)', loose.relname, loose.attname) INTO filled;
        IF filled THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', loose.relname, loose.attname);
        END IF;
    END LOOP;
END
$columns$;

-- A database from before has enabled alone, or both without the trigger: where
-- the two differ, the documented one counts if there is one.
DO $rows$
DECLARE
    stamped boolean;
BEGIN
    IF EXISTS (SELECT FROM mcp_servers WHERE active IS NULL OR enabled IS DISTINCT FROM active) THEN
        -- These rows are only written down another way: updated_at stays.
        stamped := EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.tgrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'mcp_servers'
              AND present.tgname = 'mcp_servers_set_updated_at' AND present.tgenabled = 'O');
        IF stamped THEN
            ALTER TABLE mcp_servers DISABLE TRIGGER mcp_servers_set_updated_at;
        END IF;
        UPDATE mcp_servers SET active = coalesce(active, enabled, true), enabled = coalesce(active, enabled, true)
        WHERE active IS NULL OR enabled IS DISTINCT FROM active;
        IF stamped THEN
            ALTER TABLE mcp_servers ENABLE TRIGGER mcp_servers_set_updated_at;
        END IF;
    END IF;
END
$rows$;
-- The trigger fills in the default. With one on a column, an INSERT that names
-- the other column could not be told from one that names both.
ALTER TABLE mcp_servers
    ALTER COLUMN active DROP DEFAULT,
    ALTER COLUMN active SET NOT NULL,
    ALTER COLUMN enabled DROP DEFAULT;

-- Keys and checks that a table made by hand may lack.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('mcp_servers', 'mcp_servers_pkey', 'PRIMARY KEY (id)'),
            ('mcp_servers', 'mcp_servers_name_key', 'UNIQUE (name)'),
            ('mcp_servers', 'mcp_servers_transport_check', $$CHECK (transport IN ('http', 'sse', 'stdio'))$$),
            ('mcp_servers', 'mcp_servers_status_check',
             $$CHECK (status IN ('unknown', 'healthy', 'degraded', 'unhealthy'))$$),
            ('mcp_servers', 'mcp_servers_timeout_check', 'CHECK (timeout >= 0)'),
            ('mcp_servers', 'mcp_servers_retry_attempts_check', 'CHECK (retry_attempts >= 0)'),
            ('mcp_servers', 'mcp_servers_retry_delay_check', 'CHECK (retry_delay >= 0)'),
            ('mcp_servers', 'mcp_servers_health_check_interval_check', 'CHECK (health_check_interval >= 0)'),
            ('mcp_servers', 'mcp_servers_health_check_timeout_check', 'CHECK (health_check_timeout >= 0)'),
            ('mcp_servers', 'mcp_servers_consecutive_failures_check', 'CHECK (consecutive_failures >= 0)'),
            ('mcp_tools', 'mcp_tools_pkey', 'PRIMARY KEY (id)'),
            ('mcp_tools', 'mcp_tools_server_id_name_key', 'UNIQUE (server_id, name)'),
            ('mcp_tools', 'mcp_tools_usage_count_check', 'CHECK (usage_count >= 0)'),
            ('mcp_prompts', 'mcp_prompts_pkey', 'PRIMARY KEY (id)'),
            ('mcp_prompts', 'mcp_prompts_server_id_name_key', 'UNIQUE (server_id, name)'),
            ('mcp_prompts', 'mcp_prompts_arguments_check', $$CHECK (jsonb_typeof(arguments) = 'array')$$),
            ('mcp_resources', 'mcp_resources_pkey', 'PRIMARY KEY (id)'),
            ('mcp_resources', 'mcp_resources_server_id_uri_key', 'UNIQUE (server_id, uri)'),
            ('mcp_resources', 'mcp_resources_size_bytes_check', 'CHECK (size_bytes >= 0)'),
            ('mcp_health_checks', 'mcp_health_checks_pkey', 'PRIMARY KEY (id)'),
            ('mcp_health_checks', 'mcp_health_checks_status_check',
             $$CHECK (status IN ('healthy', 'degraded', 'unhealthy'))$$),
            ('mcp_health_checks', 'mcp_health_checks_response_time_ms_check', 'CHECK (response_time_ms >= 0)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
              AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%')))
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition;
    END LOOP;
END
$checks$;

-- Keys are added only between columns of one type: a database from before may
-- still have uuid here, and the repairs (FIX_PROJECT_ID_TYPE.sql and its
-- followers) convert those columns and add the keys that wait for it.
DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT *
        FROM (VALUES
            ('mcp_tools', 'mcp_tools_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'CASCADE'),
            ('mcp_prompts', 'mcp_prompts_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'CASCADE'),
            ('mcp_resources', 'mcp_resources_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'CASCADE'),
            ('mcp_health_checks', 'mcp_health_checks_server_id_fkey', 'server_id', 'mcp_servers', 'id', 'CASCADE')
        ) AS wanted (child, name, child_column, parent, parent_column, on_delete)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = wanted.child AND present.conname = wanted.name)
          AND (SELECT count(DISTINCT col.atttypid) = 1
               FROM pg_catalog.pg_attribute AS col
               JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
               WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
                 AND (tab.relname, col.attname) IN ((wanted.child, wanted.child_column), (wanted.parent, wanted.parent_column)))
    LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

-- The unique keys of tools, prompts and resources begin with server_id.
CREATE INDEX IF NOT EXISTS idx_mcp_servers_active ON mcp_servers (priority DESC, name) WHERE active;
CREATE INDEX IF NOT EXISTS idx_mcp_servers_transport ON mcp_servers (transport);
CREATE INDEX IF NOT EXISTS idx_mcp_servers_tags ON mcp_servers USING gin (tags);
CREATE INDEX IF NOT EXISTS idx_mcp_health_checks_server_id_checked_at
    ON mcp_health_checks (server_id, checked_at DESC);
CREATE INDEX IF NOT EXISTS idx_mcp_health_checks_checked_at ON mcp_health_checks (checked_at);

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

CREATE OR REPLACE FUNCTION mcp_servers_sync_active() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
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
    'Trigger: keeps active and the application''s enabled equal: the changed one wins; both changed and different is an error.';

CREATE OR REPLACE FUNCTION mcp_health_checks_update_server() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
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
COMMENT ON FUNCTION mcp_health_checks_update_server() IS 'Trigger: brings a server''s status, last_health_check and failures up to date with the check that was inserted.';

CREATE OR REPLACE TRIGGER mcp_servers_sync_active
    BEFORE INSERT OR UPDATE OF active, enabled ON mcp_servers
    FOR EACH ROW EXECUTE FUNCTION mcp_servers_sync_active();

CREATE OR REPLACE TRIGGER mcp_health_checks_update_server
    AFTER INSERT ON mcp_health_checks
    FOR EACH ROW EXECUTE FUNCTION mcp_health_checks_update_server();

CREATE OR REPLACE TRIGGER mcp_servers_set_updated_at
    BEFORE UPDATE ON mcp_servers
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER mcp_tools_set_updated_at
    BEFORE UPDATE ON mcp_tools
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER mcp_prompts_set_updated_at
    BEFORE UPDATE ON mcp_prompts
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER mcp_resources_set_updated_at
    BEFORE UPDATE ON mcp_resources
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE OR REPLACE VIEW mcp_server_health WITH (security_invoker = true) AS
SELECT server.id,
       server.name,
       server.active,
       server.status,
       server.status_changed_at,
       server.last_health_check,
       server.consecutive_failures,
       server.active AND (server.last_health_check IS NULL
           OR server.last_health_check < now() - 2 * server.health_check_interval * interval '1 millisecond') AS overdue,
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
COMMENT ON VIEW mcp_server_health IS 'How it goes with each server: its status, whether its health check is overdue, and the share of checks in the last 24 hours that it answered.';

ALTER TABLE mcp_servers ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_tools ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_prompts ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_resources ENABLE ROW LEVEL SECURITY;
ALTER TABLE mcp_health_checks ENABLE ROW LEVEL SECURITY;

-- The hosted platform's default privileges give its roles everything on what is
-- new: it is taken back, and each role gets what it needs.
DO $grants$
DECLARE
    api_role text;
    granted record;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('mcp_servers', NULL::text, 'SELECT, INSERT, UPDATE, DELETE'),
            ('mcp_tools', NULL, 'SELECT, INSERT, UPDATE, DELETE'),
            ('mcp_prompts', NULL, 'SELECT, INSERT, UPDATE, DELETE'),
            ('mcp_resources', NULL, 'SELECT, INSERT, UPDATE, DELETE'),
            ('mcp_health_checks', NULL, 'SELECT, INSERT, UPDATE, DELETE'),
            ('mcp_server_health', NULL, 'SELECT')
        ) AS listed (name, people, service)
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %I FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %I FROM %I', granted.name, api_role);
            IF api_role = 'service_role' THEN
                EXECUTE format('GRANT %s ON TABLE %I TO service_role', granted.service, granted.name);
            ELSIF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON TABLE %I TO authenticated', granted.people, granted.name);
            END IF;
        END LOOP;
    END LOOP;
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('mcp_servers_sync_active()', '{}'::text[]),
            ('mcp_health_checks_update_server()', '{}')
        ) AS listed (name, callers)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', granted.name, api_role);
            IF api_role = ANY (granted.callers) THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', granted.name, api_role);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;
