-- What a person is told, whether they have read it, and whether a mail went out.

CREATE TABLE IF NOT EXISTS notifications (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    type text NOT NULL DEFAULT 'info',
    title text,
    message text,
    link text,
    priority text NOT NULL DEFAULT 'normal',
    status text NOT NULL DEFAULT 'pending',
    read boolean NOT NULL DEFAULT false,
    read_at timestamptz,
    metadata jsonb DEFAULT '{}',
    data jsonb DEFAULT '{}',
    email_sent boolean NOT NULL DEFAULT false,
    email_sent_at timestamptz,
    email_address text,
    email_error text,
    email_attempts integer NOT NULL DEFAULT 0,
    expires_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT notifications_pkey PRIMARY KEY (id),
    CONSTRAINT notifications_type_check CHECK (type IN ('error', 'info', 'success', 'warning')),
    CONSTRAINT notifications_priority_check CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
    CONSTRAINT notifications_status_check CHECK (status IN ('pending', 'delivered', 'dismissed', 'failed')),
    CONSTRAINT notifications_email_attempts_check CHECK (email_attempts >= 0)
);
ALTER TABLE notifications
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS type text NOT NULL DEFAULT 'info',
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS message text,
    ADD COLUMN IF NOT EXISTS link text,
    ADD COLUMN IF NOT EXISTS priority text NOT NULL DEFAULT 'normal',
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS read boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS read_at timestamptz,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS data jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS email_sent boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS email_sent_at timestamptz,
    ADD COLUMN IF NOT EXISTS email_address text,
    ADD COLUMN IF NOT EXISTS email_error text,
    ADD COLUMN IF NOT EXISTS email_attempts integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS expires_at timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- What a table made by hand may lack: defaults, and NOT NULL where every row has a value.
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT listed.*, col.attnotnull, col.atthasdef
        FROM (VALUES
            ('notifications', 'id', 'uuid', 'gen_random_uuid()', true),
            ('notifications', 'type', 'text', '''info''', true),
            ('notifications', 'priority', 'text', '''normal''', true),
            ('notifications', 'status', 'text', '''pending''', true),
            ('notifications', 'read', 'boolean', 'false', true),
            ('notifications', 'metadata', 'jsonb', '''{}''', false),
            ('notifications', 'data', 'jsonb', '''{}''', false),
            ('notifications', 'email_sent', 'boolean', 'false', true),
            ('notifications', 'email_attempts', 'integer', '0', true),
            ('notifications', 'created_at', 'timestamptz', 'now()', true),
            ('notifications', 'updated_at', 'timestamptz', 'now()', true)
        ) AS listed (tab, name, type, fallback, required)
        JOIN pg_catalog.pg_class AS t ON t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
        JOIN pg_catalog.pg_attribute AS col ON col.attrelid = t.oid AND col.attname = listed.name AND NOT col.attisdropped
        -- A column that has another type yet, such as an id that is a uuid, waits for the repairs.
        WHERE col.atttypid = listed.type::regtype
          AND ((listed.fallback IS NOT NULL AND NOT col.atthasdef) OR (listed.required AND NOT col.attnotnull))
    LOOP
        IF loose.fallback IS NOT NULL AND NOT loose.atthasdef THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET DEFAULT ', loose.tab, loose.name) || loose.fallback;
        END IF;
        IF loose.required AND NOT loose.attnotnull THEN
            IF loose.fallback IS NOT NULL THEN
                EXECUTE format('UPDATE %I SET %I = DEFAULT WHERE %2$I IS NULL', loose.tab, loose.name);
            END IF;
            EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE %I IS NULL)', loose.tab, loose.name) INTO filled;
            IF filled THEN
                EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', loose.tab, loose.name);
            END IF;
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
        SELECT listed.*, present.oid IS NOT NULL AS narrower
        FROM (VALUES
            ('notifications', 'notifications_pkey', 'PRIMARY KEY (id)'),
            ('notifications', 'notifications_type_check', 'CHECK (type IN (''error'', ''info'', ''success'', ''warning''))'),
            ('notifications', 'notifications_priority_check', 'CHECK (priority IN (''low'', ''normal'', ''high'', ''urgent''))'),
            ('notifications', 'notifications_status_check', 'CHECK (status IN (''pending'', ''delivered'', ''dismissed'', ''failed''))'),
            ('notifications', 'notifications_email_attempts_check', 'CHECK (email_attempts >= 0)')
        ) AS listed (tab, name, definition)
        JOIN pg_catalog.pg_class AS t ON t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
        LEFT JOIN pg_catalog.pg_constraint AS present
            ON present.conrelid = t.oid
           AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%'))
        -- A check of that name from before may know fewer values than the application sends.
        WHERE present.oid IS NULL
           OR (present.contype = 'c'
               AND NOT ARRAY(SELECT word[1] FROM regexp_matches(listed.definition, $$'([^']*)'$$, 'g') AS word)
                       <@ ARRAY(SELECT word[1] FROM regexp_matches(pg_get_constraintdef(present.oid), $$'([^']*)'$$, 'g') AS word))
    LOOP
        IF wanted.narrower THEN
            EXECUTE format('ALTER TABLE %I DROP CONSTRAINT %I', wanted.tab, wanted.name);
        END IF;
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
            ('notifications', 'notifications_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE')
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

CREATE INDEX IF NOT EXISTS idx_notifications_user_id ON notifications (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_notifications_unread ON notifications (user_id, created_at DESC) WHERE NOT read;
-- What the job that sends mails looks for.
CREATE INDEX IF NOT EXISTS idx_notifications_email_pending ON notifications (created_at) WHERE NOT email_sent AND email_address IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_notifications_expires_at ON notifications (expires_at) WHERE expires_at IS NOT NULL;

CREATE OR REPLACE FUNCTION notifications_track_reading() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT NEW.read THEN
        NEW.read_at := NULL;
    ELSIF NEW.read_at IS NULL THEN
        NEW.read_at := now();
    END IF;
    IF NEW.email_sent AND NEW.email_sent_at IS NULL THEN
        NEW.email_sent_at := now();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION notifications_track_reading() IS 'Trigger: stamps when it was read and when its mail went out.';
CREATE OR REPLACE TRIGGER notifications_track_reading BEFORE INSERT OR UPDATE OF read, email_sent ON notifications
    FOR EACH ROW EXECUTE FUNCTION notifications_track_reading();
CREATE OR REPLACE TRIGGER notifications_set_updated_at BEFORE UPDATE ON notifications
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE notifications ENABLE ROW LEVEL SECURITY;

-- Made only where the columns that a policy compares are text: on a database from
-- before, the repairs convert them and make the policies that wait for it.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('notifications', 'notifications_owner', ARRAY['notifications.user_id'], 'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))')
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policies AS present
            WHERE present.schemaname = current_schema() AND present.tablename = listed.tab AND present.policyname = listed.name)
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND t.relname || '.' || col.attname = ANY (listed.compares) AND col.atttypid <> 'text'::regtype)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

DO $grants$
DECLARE
    granted record;
    api_role text;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('TABLE notifications', 'SELECT, DELETE, UPDATE (read, status)', 'SELECT, INSERT, UPDATE, DELETE'),
            ('FUNCTION notifications_track_reading()', NULL, NULL)
        ) AS listed (object, people, service)
    LOOP
        EXECUTE format('REVOKE ALL ON %s FROM PUBLIC', granted.object);
        -- The hosted platform's default privileges give these roles everything on what is new.
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON %s FROM %I', granted.object, api_role);
            IF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON %s TO authenticated', granted.people, granted.object);
            ELSIF api_role = 'service_role' AND granted.service IS NOT NULL THEN
                EXECUTE format('GRANT %s ON %s TO service_role', granted.service, granted.object);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;

COMMENT ON TABLE notifications IS 'What a person is told. The service writes it; the person reads, dismisses and deletes their own.';
COMMENT ON COLUMN notifications.status IS 'How its delivery stands.';
COMMENT ON COLUMN notifications.data IS 'What the application hands to its own handlers.';
COMMENT ON COLUMN notifications.email_sent IS 'Whether a mail went out, for those that have an email_address.';
