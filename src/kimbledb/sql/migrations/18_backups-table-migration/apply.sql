-- Backups that were made of a person's data, where they lie, and which can be gone back to.

CREATE TABLE IF NOT EXISTS backups (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    backup_type text NOT NULL DEFAULT 'automatic',
    status text NOT NULL DEFAULT 'pending',
    data_counts jsonb DEFAULT '{}',
    backup_data jsonb,
    backup_size_bytes bigint,
    total_size bigint,
    file_count integer,
    duration_seconds double precision GENERATED ALWAYS AS (extract(epoch FROM completed_at - started_at)::double precision) STORED,
    storage_location text,
    drive_file_id text,
    drive_file_url text,
    drive_uploaded_at timestamptz,
    error_message text,
    is_restore_point boolean NOT NULL DEFAULT false,
    restore_point_name text,
    restored_at timestamptz,
    expires_at timestamptz,
    started_at timestamptz,
    completed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT backups_pkey PRIMARY KEY (id),
    CONSTRAINT backups_backup_type_check CHECK (backup_type IN ('automatic', 'manual', 'scheduled')),
    CONSTRAINT backups_status_check CHECK (status IN ('completed', 'failed', 'in_progress', 'pending')),
    CONSTRAINT backups_backup_size_bytes_check CHECK (backup_size_bytes >= 0),
    CONSTRAINT backups_total_size_check CHECK (total_size >= 0),
    CONSTRAINT backups_file_count_check CHECK (file_count >= 0),
    CONSTRAINT backups_completed_at_check CHECK (completed_at >= started_at)
);
ALTER TABLE backups
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS backup_type text NOT NULL DEFAULT 'automatic',
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS data_counts jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS backup_data jsonb,
    ADD COLUMN IF NOT EXISTS backup_size_bytes bigint,
    ADD COLUMN IF NOT EXISTS total_size bigint,
    ADD COLUMN IF NOT EXISTS file_count integer,
    ADD COLUMN IF NOT EXISTS storage_location text,
    ADD COLUMN IF NOT EXISTS drive_file_id text,
    ADD COLUMN IF NOT EXISTS drive_file_url text,
    ADD COLUMN IF NOT EXISTS drive_uploaded_at timestamptz,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS is_restore_point boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS restore_point_name text,
    ADD COLUMN IF NOT EXISTS restored_at timestamptz,
    ADD COLUMN IF NOT EXISTS expires_at timestamptz,
    ADD COLUMN IF NOT EXISTS started_at timestamptz,
    ADD COLUMN IF NOT EXISTS completed_at timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();
-- By itself: it is computed from columns that the statement before may have made.
ALTER TABLE backups
    ADD COLUMN IF NOT EXISTS duration_seconds double precision
        GENERATED ALWAYS AS (extract(epoch FROM completed_at - started_at)::double precision) STORED;

-- What a table made by hand may lack: defaults, and NOT NULL where every row has a value.
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT listed.*, col.attnotnull, col.atthasdef
        FROM (VALUES
            ('backups', 'id', 'text', 'gen_random_uuid()::text', true),
            ('backups', 'backup_type', 'text', '''automatic''', true),
            ('backups', 'status', 'text', '''pending''', true),
            ('backups', 'data_counts', 'jsonb', '''{}''', false),
            ('backups', 'is_restore_point', 'boolean', 'false', true),
            ('backups', 'created_at', 'timestamptz', 'now()', true),
            ('backups', 'updated_at', 'timestamptz', 'now()', true)
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
            ('backups', 'backups_pkey', 'PRIMARY KEY (id)'),
            ('backups', 'backups_backup_type_check', 'CHECK (backup_type IN (''automatic'', ''manual'', ''scheduled''))'),
            ('backups', 'backups_status_check', 'CHECK (status IN (''completed'', ''failed'', ''in_progress'', ''pending''))'),
            ('backups', 'backups_backup_size_bytes_check', 'CHECK (backup_size_bytes >= 0)'),
            ('backups', 'backups_total_size_check', 'CHECK (total_size >= 0)'),
            ('backups', 'backups_file_count_check', 'CHECK (file_count >= 0)'),
            ('backups', 'backups_completed_at_check', 'CHECK (completed_at >= started_at)')
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
            ('backups', 'backups_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE')
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

CREATE INDEX IF NOT EXISTS idx_backups_user_id ON backups (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_backups_created_at ON backups (created_at DESC);
CREATE INDEX IF NOT EXISTS idx_backups_drive_file_id ON backups (drive_file_id) WHERE drive_file_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_backups_restore_points ON backups (user_id, completed_at DESC) WHERE is_restore_point AND status = 'completed';
CREATE INDEX IF NOT EXISTS idx_backups_expires_at ON backups (expires_at) WHERE expires_at IS NOT NULL;

CREATE OR REPLACE VIEW restore_points WITH (security_invoker = true) AS
    SELECT id, user_id, coalesce(restore_point_name, backup_type || ' ' || completed_at::date) AS name, completed_at, backup_type,
           backup_size_bytes, file_count, data_counts, drive_file_url, storage_location, restored_at
    FROM backups
    WHERE is_restore_point AND status = 'completed' AND (expires_at IS NULL OR expires_at > now());
COMMENT ON VIEW restore_points IS 'Backups that a person can go back to.';

CREATE OR REPLACE TRIGGER backups_set_updated_at BEFORE UPDATE ON backups
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE backups ENABLE ROW LEVEL SECURITY;

-- Made only where the columns that a policy compares are text: on a database from
-- before, the repairs convert them and make the policies that wait for it.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('backups', 'backups_owner_read', ARRAY['backups.user_id'], 'FOR SELECT USING (user_id = (SELECT requesting_user_id()))')
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
            ('TABLE backups', 'SELECT', 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE restore_points', 'SELECT', 'SELECT')
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

COMMENT ON TABLE backups IS 'Backups of a person''s data. The service writes it; the person reads their own.';
COMMENT ON COLUMN backups.data_counts IS 'How many rows of which table it holds.';
COMMENT ON COLUMN backups.backup_data IS 'The data itself, where it is small enough to stay here.';
COMMENT ON COLUMN backups.duration_seconds IS 'From started_at to completed_at.';
COMMENT ON COLUMN backups.drive_file_id IS 'The file in Google Drive that holds it.';
COMMENT ON COLUMN backups.is_restore_point IS 'Whether it can be gone back to.';
COMMENT ON COLUMN backups.restored_at IS 'When somebody last went back to it.';
