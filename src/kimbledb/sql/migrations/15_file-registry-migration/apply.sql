-- Every file that a person has anywhere, with where it came from, its versions, its
-- thumbnail, and how far its processing is.

CREATE TABLE IF NOT EXISTS file_registry (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    file_id text,
    file_source text NOT NULL DEFAULT 'upload',
    source_id text,
    source_metadata jsonb DEFAULT '{}',
    filename text,
    mime_type text,
    file_size bigint,
    storage_path text,
    preview_url text,
    thumbnail_url text,
    thumbnail_path text,
    processed boolean NOT NULL DEFAULT false,
    processing_status text NOT NULL DEFAULT 'pending',
    processing_result jsonb,
    processing_error text,
    processing_started_at timestamptz,
    processing_completed_at timestamptz,
    knowledge_base_ids text[] DEFAULT '{}',
    tags text[] DEFAULT '{}',
    projects text[] DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    content_hash text,
    version integer NOT NULL DEFAULT 1,
    previous_version_id text,
    is_current_version boolean NOT NULL DEFAULT true,
    indexed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_registry_pkey PRIMARY KEY (id),
    CONSTRAINT file_registry_file_source_check CHECK (file_source IN ('calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload')),
    CONSTRAINT file_registry_processing_status_check CHECK (processing_status IN ('pending', 'processing', 'completed', 'failed')),
    CONSTRAINT file_registry_file_size_check CHECK (file_size >= 0),
    CONSTRAINT file_registry_version_check CHECK (version >= 1),
    CONSTRAINT file_registry_previous_version_id_check CHECK (previous_version_id <> id)
);
ALTER TABLE file_registry
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS file_id text,
    ADD COLUMN IF NOT EXISTS file_source text NOT NULL DEFAULT 'upload',
    ADD COLUMN IF NOT EXISTS source_id text,
    ADD COLUMN IF NOT EXISTS source_metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS filename text,
    ADD COLUMN IF NOT EXISTS mime_type text,
    ADD COLUMN IF NOT EXISTS file_size bigint,
    ADD COLUMN IF NOT EXISTS storage_path text,
    ADD COLUMN IF NOT EXISTS preview_url text,
    ADD COLUMN IF NOT EXISTS thumbnail_url text,
    ADD COLUMN IF NOT EXISTS thumbnail_path text,
    ADD COLUMN IF NOT EXISTS processed boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS processing_status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS processing_result jsonb,
    ADD COLUMN IF NOT EXISTS processing_error text,
    ADD COLUMN IF NOT EXISTS processing_started_at timestamptz,
    ADD COLUMN IF NOT EXISTS processing_completed_at timestamptz,
    ADD COLUMN IF NOT EXISTS knowledge_base_ids text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS tags text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS projects text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS content_hash text,
    ADD COLUMN IF NOT EXISTS version integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS previous_version_id text,
    ADD COLUMN IF NOT EXISTS is_current_version boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS indexed_at timestamptz,
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
            ('file_registry', 'id', 'text', 'gen_random_uuid()::text', true),
            ('file_registry', 'file_source', 'text', '''upload''', true),
            ('file_registry', 'source_metadata', 'jsonb', '''{}''', false),
            ('file_registry', 'processed', 'boolean', 'false', true),
            ('file_registry', 'processing_status', 'text', '''pending''', true),
            ('file_registry', 'knowledge_base_ids', 'text[]', '''{}''', false),
            ('file_registry', 'tags', 'text[]', '''{}''', false),
            ('file_registry', 'projects', 'text[]', '''{}''', false),
            ('file_registry', 'metadata', 'jsonb', '''{}''', true),
            ('file_registry', 'version', 'integer', '1', true),
            ('file_registry', 'is_current_version', 'boolean', 'true', true),
            ('file_registry', 'created_at', 'timestamptz', 'now()', true),
            ('file_registry', 'updated_at', 'timestamptz', 'now()', true)
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
            ('file_registry', 'file_registry_pkey', 'PRIMARY KEY (id)'),
            ('file_registry', 'file_registry_file_source_check', 'CHECK (file_source IN (''calendar'', ''calendar_attachment'', ''drive'', ''email_attachment'', ''gmail'', ''link'', ''upload''))'),
            ('file_registry', 'file_registry_processing_status_check', 'CHECK (processing_status IN (''pending'', ''processing'', ''completed'', ''failed''))'),
            ('file_registry', 'file_registry_file_size_check', 'CHECK (file_size >= 0)'),
            ('file_registry', 'file_registry_version_check', 'CHECK (version >= 1)'),
            ('file_registry', 'file_registry_previous_version_id_check', 'CHECK (previous_version_id <> id)')
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
            ('file_registry', 'file_registry_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('file_registry', 'file_registry_file_id_fkey', 'file_id', 'files', 'id', 'SET NULL'),
            ('file_registry', 'file_registry_previous_version_id_fkey', 'previous_version_id', 'file_registry', 'id', 'SET NULL')
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

CREATE INDEX IF NOT EXISTS idx_file_registry_user_id ON file_registry (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_file_registry_indexed_at ON file_registry (user_id, indexed_at DESC NULLS LAST);
CREATE INDEX IF NOT EXISTS idx_file_registry_source ON file_registry (file_source, source_id);
CREATE INDEX IF NOT EXISTS idx_file_registry_file_id ON file_registry (file_id);
CREATE INDEX IF NOT EXISTS idx_file_registry_previous_version_id ON file_registry (previous_version_id);
CREATE INDEX IF NOT EXISTS idx_file_registry_content_hash ON file_registry (user_id, content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX IF NOT EXISTS idx_file_registry_mime_type ON file_registry (user_id, mime_type);
CREATE INDEX IF NOT EXISTS idx_file_registry_filename ON file_registry USING gin (filename gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_file_registry_tags ON file_registry USING gin (tags);
CREATE INDEX IF NOT EXISTS idx_file_registry_projects ON file_registry USING gin (projects);
CREATE INDEX IF NOT EXISTS idx_file_registry_metadata ON file_registry USING gin (metadata);
CREATE INDEX IF NOT EXISTS idx_file_registry_source_metadata ON file_registry USING gin (source_metadata);
-- What a worker looks for.
CREATE INDEX IF NOT EXISTS idx_file_registry_unprocessed ON file_registry (created_at) WHERE NOT processed;

CREATE OR REPLACE FUNCTION file_registry_track_processing() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    was_processed constant boolean := TG_OP = 'UPDATE' AND OLD.processed;
    was_status constant text := CASE WHEN TG_OP = 'UPDATE' THEN OLD.processing_status ELSE 'pending' END;
BEGIN
    -- The application says `processed`; a worker says how far it is. What was said moves the other.
    IF NEW.processing_status IS DISTINCT FROM was_status THEN
        NEW.processed := NEW.processing_status = 'completed';
    ELSIF NEW.processed IS DISTINCT FROM was_processed THEN
        NEW.processing_status := CASE WHEN NEW.processed THEN 'completed' ELSE 'pending' END;
    END IF;
    -- The stamps are of the last time; a stamp that the statement gives is kept.
    IF NEW.processing_status <> was_status THEN
        IF NEW.processing_started_at IS NOT DISTINCT FROM OLD.processing_started_at THEN
            NEW.processing_started_at := CASE NEW.processing_status WHEN 'processing' THEN now() WHEN 'pending' THEN NULL
                                                                    ELSE NEW.processing_started_at END;
        END IF;
        IF NEW.processing_completed_at IS NOT DISTINCT FROM OLD.processing_completed_at THEN
            NEW.processing_completed_at := CASE WHEN NEW.processing_status IN ('completed', 'failed') THEN now() END;
        END IF;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION file_registry_track_processing() IS 'Trigger: keeps processed and processing_status together, and stamps start and end.';
CREATE OR REPLACE TRIGGER file_registry_track_processing BEFORE INSERT OR UPDATE OF processed, processing_status ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_processing();

CREATE OR REPLACE FUNCTION file_registry_next_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    version_before integer;
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.previous_version_id IS NOT DISTINCT FROM OLD.previous_version_id THEN
        RETURN NEW;
    END IF;
    -- The key alone would let a person name a file of somebody else: it looks past row
    -- level security. A policy of the table cannot look at the table itself.
    UPDATE file_registry AS f SET is_current_version = false
    WHERE f.id = NEW.previous_version_id AND f.user_id IS NOT DISTINCT FROM NEW.user_id
    RETURNING f.version INTO version_before;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'file_registry.previous_version_id: % is no file of the same person', NEW.previous_version_id
            USING ERRCODE = 'foreign_key_violation', TABLE = 'file_registry', COLUMN = 'previous_version_id';
    END IF;
    NEW.version := greatest(NEW.version, version_before + 1);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION file_registry_next_version() IS 'Trigger: counts a file''s versions, retires the one before, and sees that both are of one person.';
CREATE OR REPLACE TRIGGER file_registry_next_version BEFORE INSERT OR UPDATE OF previous_version_id ON file_registry
    FOR EACH ROW WHEN (NEW.previous_version_id IS NOT NULL) EXECUTE FUNCTION file_registry_next_version();
CREATE OR REPLACE TRIGGER file_registry_set_updated_at BEFORE UPDATE ON file_registry
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE file_registry ENABLE ROW LEVEL SECURITY;

-- Made only where the columns that a policy compares are text: on a database from
-- before, the repairs convert them and make the policies that wait for it.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('file_registry', 'file_registry_owner', ARRAY['file_registry.user_id', 'files.id', 'files.user_id'], 'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()) AND (file_id IS NULL OR EXISTS (SELECT FROM files AS f WHERE f.id = file_registry.file_id AND f.user_id = (SELECT requesting_user_id()))))')
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
            ('TABLE file_registry', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('FUNCTION file_registry_track_processing()', NULL, NULL),
            ('FUNCTION file_registry_next_version()', NULL, NULL)
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

COMMENT ON TABLE file_registry IS 'Every file that a person has anywhere: uploads, mails, Drive, calendars, links.';
COMMENT ON COLUMN file_registry.file_id IS 'The file of the table files, where it is one.';
COMMENT ON COLUMN file_registry.source_id IS 'Its number where it came from.';
COMMENT ON COLUMN file_registry.knowledge_base_ids IS 'The pieces of knowledge that were made of it.';
COMMENT ON COLUMN file_registry.projects IS 'The projects that it belongs to.';
COMMENT ON COLUMN file_registry.thumbnail_path IS 'Where its small picture lies in the storage.';
COMMENT ON COLUMN file_registry.content_hash IS 'The SHA-256 of its content, to find copies.';
COMMENT ON COLUMN file_registry.version IS 'Counted by a trigger along previous_version_id.';
COMMENT ON COLUMN file_registry.is_current_version IS 'False once a newer version names it as its previous one.';
