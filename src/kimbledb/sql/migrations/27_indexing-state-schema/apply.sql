-- indexing-state-schema.sql
--
-- How far the index of a person's Gmail and Drive has come: one row for each
-- person and source. The service writes it; people read their own.

CREATE TABLE IF NOT EXISTS indexing_state (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    source text NOT NULL,
    status text NOT NULL DEFAULT 'pending',
    last_cursor text,
    sync_token text,
    total_indexed integer NOT NULL DEFAULT 0,
    last_indexed_at timestamptz,
    last_sync_started_at timestamptz,
    last_sync_completed_at timestamptz,
    error_message text,
    error_count integer NOT NULL DEFAULT 0,
    last_error_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT indexing_state_pkey PRIMARY KEY (id),
    CONSTRAINT indexing_state_user_id_source_key UNIQUE (user_id, source),
    CONSTRAINT indexing_state_source_check CHECK (source IN ('drive', 'gmail')),
    CONSTRAINT indexing_state_status_check CHECK (status IN ('pending', 'in_progress', 'completed', 'error')),
    CONSTRAINT indexing_state_total_indexed_check CHECK (total_indexed >= 0),
    CONSTRAINT indexing_state_error_count_check CHECK (error_count >= 0)
);
ALTER TABLE indexing_state
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS source text,
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS last_cursor text,
    ADD COLUMN IF NOT EXISTS sync_token text,
    ADD COLUMN IF NOT EXISTS total_indexed integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_indexed_at timestamptz,
    ADD COLUMN IF NOT EXISTS last_sync_started_at timestamptz,
    ADD COLUMN IF NOT EXISTS last_sync_completed_at timestamptz,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS error_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_error_at timestamptz,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have a column without its default, or with NULL in it:
-- it gets the default, and NOT NULL where no NULL is left.
ALTER TABLE indexing_state
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN total_indexed SET DEFAULT 0,
    ALTER COLUMN error_count SET DEFAULT 0,
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
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
            ('indexing_state', 'id'), ('indexing_state', 'user_id'), ('indexing_state', 'source'),
            ('indexing_state', 'status'), ('indexing_state', 'total_indexed'), ('indexing_state', 'error_count'),
            ('indexing_state', 'metadata'), ('indexing_state', 'created_at'), ('indexing_state', 'updated_at'))
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
            ('indexing_state', 'indexing_state_pkey', 'PRIMARY KEY (id)'),
            ('indexing_state', 'indexing_state_user_id_source_key', 'UNIQUE (user_id, source)'),
            ('indexing_state', 'indexing_state_source_check', $$CHECK (source IN ('drive', 'gmail'))$$),
            ('indexing_state', 'indexing_state_status_check',
             $$CHECK (status IN ('pending', 'in_progress', 'completed', 'error'))$$),
            ('indexing_state', 'indexing_state_total_indexed_check', 'CHECK (total_indexed >= 0)'),
            ('indexing_state', 'indexing_state_error_count_check', 'CHECK (error_count >= 0)')
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
            ('indexing_state', 'indexing_state_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE')
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

-- The unique key serves user_id; these serve the overview and the retries.
CREATE INDEX IF NOT EXISTS idx_indexing_state_last_indexed_at ON indexing_state (last_indexed_at DESC);
CREATE INDEX IF NOT EXISTS idx_indexing_state_errors ON indexing_state (last_error_at) WHERE status = 'error';

COMMENT ON TABLE indexing_state IS 'How far the index of a person''s Gmail and Drive has come. The service writes it, a person reads their own.';
COMMENT ON COLUMN indexing_state.last_cursor IS 'Where the next run of a listing goes on: the page token, or history id, of the last one.';
COMMENT ON COLUMN indexing_state.sync_token IS 'What the source gave to ask for changes since, where that is another thing than the cursor.';
COMMENT ON COLUMN indexing_state.last_indexed_at IS 'When something was indexed last.';
COMMENT ON COLUMN indexing_state.last_sync_started_at IS 'When a run began last; noted where a statement sets the status and not this.';
COMMENT ON COLUMN indexing_state.last_sync_completed_at IS 'When a run ended well last; noted likewise.';
COMMENT ON COLUMN indexing_state.error_message IS 'What went wrong last; emptied by a run that ends well.';
COMMENT ON COLUMN indexing_state.error_count IS 'The errors since a run ended well.';
COMMENT ON COLUMN indexing_state.last_error_at IS 'When a run ended in an error last.';

-- The application sets the status; what follows from it is filled in, unless
-- the statement says it itself.
CREATE OR REPLACE FUNCTION indexing_state_track_sync() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
DECLARE
    former indexing_state;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        former := OLD;
    ELSE
        former.error_count := 0;
    END IF;
    IF NEW.status = 'in_progress' THEN
        IF former.status IS DISTINCT FROM 'in_progress' AND NEW.last_sync_started_at IS NOT DISTINCT FROM former.last_sync_started_at THEN
            NEW.last_sync_started_at := now();
        END IF;
    ELSIF NEW.status = 'completed' THEN
        IF NEW.last_sync_completed_at IS NOT DISTINCT FROM former.last_sync_completed_at THEN
            NEW.last_sync_completed_at := now();
        END IF;
        IF NEW.error_count IS NOT DISTINCT FROM former.error_count THEN
            NEW.error_count := 0;
        END IF;
        IF NEW.error_message IS NOT DISTINCT FROM former.error_message THEN
            NEW.error_message := NULL;
        END IF;
    ELSIF NEW.status = 'error' THEN
        IF NEW.last_error_at IS NOT DISTINCT FROM former.last_error_at THEN
            NEW.last_error_at := now();
        END IF;
        IF NEW.error_count IS NOT DISTINCT FROM former.error_count THEN
            NEW.error_count := former.error_count + 1;
        END IF;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION indexing_state_track_sync() IS
    'Trigger: from the status that a statement sets, notes when a run began, ended or failed, and counts the errors since one ended well.';

CREATE OR REPLACE TRIGGER indexing_state_set_updated_at
    BEFORE UPDATE ON indexing_state
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

CREATE OR REPLACE TRIGGER indexing_state_track_sync
    BEFORE INSERT OR UPDATE OF status ON indexing_state
    FOR EACH ROW EXECUTE FUNCTION indexing_state_track_sync();

ALTER TABLE indexing_state ENABLE ROW LEVEL SECURITY;

-- A policy is made only where the columns that it compares are text: on a
-- database from before they may wait for the repairs. Row level security without
-- its policy is closed, never open.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('indexing_state', 'indexing_state_owner_read',
             ARRAY['indexing_state.user_id'],
             $$FOR SELECT USING (user_id = (SELECT requesting_user_id()))$$)
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policies AS present
            WHERE present.schemaname = current_schema() AND present.tablename = listed.tab AND present.policyname = listed.name)
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND t.relname || '.' || col.attname = ANY (listed.compares) AND col.atttypid <> 'pg_catalog.text'::regtype)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

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
            ('indexing_state', 'SELECT', 'SELECT, INSERT, UPDATE, DELETE')
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
            ('indexing_state_track_sync()', '{}'::text[])
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
