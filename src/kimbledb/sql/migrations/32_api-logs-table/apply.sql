-- api-logs-table.sql
--
-- One row for each request of the application's API. For the service alone:
-- no policy, and no grant to people. What an analysis needs beyond this is
-- added by api-logs-schema.sql.

CREATE TABLE IF NOT EXISTS api_logs (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    endpoint text,
    method text,
    status_code integer,
    response_time_ms integer,
    user_id text,
    ip_address text,
    user_agent text,
    error_message text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT api_logs_pkey PRIMARY KEY (id),
    CONSTRAINT api_logs_method_check CHECK (method IN ('DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT')),
    CONSTRAINT api_logs_status_code_check CHECK (status_code BETWEEN 100 AND 599),
    CONSTRAINT api_logs_response_time_ms_check CHECK (response_time_ms >= 0)
);
ALTER TABLE api_logs
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS endpoint text,
    ADD COLUMN IF NOT EXISTS method text,
    ADD COLUMN IF NOT EXISTS status_code integer,
    ADD COLUMN IF NOT EXISTS response_time_ms integer,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS ip_address text,
    ADD COLUMN IF NOT EXISTS user_agent text,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have a column without its default, or with NULL in it:
-- it gets the default, and NOT NULL where no NULL is left.
ALTER TABLE api_logs
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN created_at SET DEFAULT now();
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
            ('api_logs', 'id'), ('api_logs', 'created_at'))
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

-- Keys and checks that a table made by hand may lack.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('api_logs', 'api_logs_pkey', 'PRIMARY KEY (id)'),
            ('api_logs', 'api_logs_method_check',
             $$CHECK (method IN ('DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT'))$$),
            ('api_logs', 'api_logs_status_code_check', 'CHECK (status_code BETWEEN 100 AND 599)'),
            ('api_logs', 'api_logs_response_time_ms_check', 'CHECK (response_time_ms >= 0)')
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
            ('api_logs', 'api_logs_user_id_fkey', 'user_id', 'users', 'id', 'SET NULL')
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

CREATE INDEX IF NOT EXISTS idx_api_logs_created_at ON api_logs (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_api_logs_endpoint_created_at ON api_logs (endpoint, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_api_logs_user_id_created_at ON api_logs (user_id, created_at DESC);
-- Errors and slow requests are looked for often, and are little of the whole.
CREATE INDEX IF NOT EXISTS idx_api_logs_errors ON api_logs (status_code, created_at DESC) WHERE status_code >= 400;
CREATE INDEX IF NOT EXISTS idx_api_logs_slow
    ON api_logs (response_time_ms DESC, created_at DESC) WHERE response_time_ms >= 1000;

COMMENT ON TABLE api_logs IS 'Requests of the application''s API. For the service alone.';
COMMENT ON COLUMN api_logs.endpoint IS 'The path, without its parameters.';
COMMENT ON COLUMN api_logs.status_code IS 'The HTTP status that was answered; NULL where no answer was given.';
COMMENT ON COLUMN api_logs.response_time_ms IS 'Milliseconds until the answer was given.';
COMMENT ON COLUMN api_logs.user_id IS 'Who asked; NULL for nobody known, and once the person is gone.';

ALTER TABLE api_logs ENABLE ROW LEVEL SECURITY;

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
            ('api_logs', NULL::text, 'SELECT, INSERT, UPDATE, DELETE')
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
END
$grants$;
