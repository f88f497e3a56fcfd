-- Files and the rest: what was learnt from a file, which files belong together, and
-- where each was seen.

ALTER TABLE knowledge_base ADD COLUMN IF NOT EXISTS file_id text;

CREATE TABLE IF NOT EXISTS file_relationships (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    file_id text NOT NULL,
    related_file_id text NOT NULL,
    relationship_type text NOT NULL,
    confidence double precision NOT NULL DEFAULT 1,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_relationships_pkey PRIMARY KEY (id),
    CONSTRAINT file_relationships_pair_key UNIQUE (file_id, related_file_id, relationship_type),
    CONSTRAINT file_relationships_relationship_type_check CHECK (relationship_type IN ('duplicate', 'version', 'attachment', 'derived', 'related')),
    CONSTRAINT file_relationships_confidence_check CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT file_relationships_related_file_id_check CHECK (related_file_id <> file_id)
);
ALTER TABLE file_relationships
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS file_id text,
    ADD COLUMN IF NOT EXISTS related_file_id text,
    ADD COLUMN IF NOT EXISTS relationship_type text,
    ADD COLUMN IF NOT EXISTS confidence double precision NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS file_sources (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    file_id text NOT NULL,
    source text NOT NULL,
    source_id text,
    source_url text,
    source_metadata jsonb NOT NULL DEFAULT '{}',
    first_seen_at timestamptz NOT NULL DEFAULT now(),
    last_seen_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_sources_pkey PRIMARY KEY (id),
    CONSTRAINT file_sources_file_id_source_source_id_key UNIQUE NULLS NOT DISTINCT (file_id, source, source_id),
    CONSTRAINT file_sources_source_check CHECK (source IN ('calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload')),
    CONSTRAINT file_sources_last_seen_at_check CHECK (last_seen_at >= first_seen_at)
);
ALTER TABLE file_sources
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS file_id text,
    ADD COLUMN IF NOT EXISTS source text,
    ADD COLUMN IF NOT EXISTS source_id text,
    ADD COLUMN IF NOT EXISTS source_url text,
    ADD COLUMN IF NOT EXISTS source_metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS first_seen_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS last_seen_at timestamptz NOT NULL DEFAULT now();

-- What a table made by hand may lack: defaults, and NOT NULL where every row has a value.
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT listed.*, col.attnotnull, col.atthasdef
        FROM (VALUES
            ('file_relationships', 'id', 'uuid', 'gen_random_uuid()', true),
            ('file_relationships', 'file_id', 'text', NULL, true),
            ('file_relationships', 'related_file_id', 'text', NULL, true),
            ('file_relationships', 'relationship_type', 'text', NULL, true),
            ('file_relationships', 'confidence', 'double precision', '1', true),
            ('file_relationships', 'metadata', 'jsonb', '''{}''', true),
            ('file_relationships', 'created_at', 'timestamptz', 'now()', true),
            ('file_sources', 'id', 'uuid', 'gen_random_uuid()', true),
            ('file_sources', 'file_id', 'text', NULL, true),
            ('file_sources', 'source', 'text', NULL, true),
            ('file_sources', 'source_metadata', 'jsonb', '''{}''', true),
            ('file_sources', 'first_seen_at', 'timestamptz', 'now()', true),
            ('file_sources', 'last_seen_at', 'timestamptz', 'now()', true)
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
            ('file_relationships', 'file_relationships_pkey', 'PRIMARY KEY (id)'),
            ('file_sources', 'file_sources_pkey', 'PRIMARY KEY (id)'),
            ('file_relationships', 'file_relationships_pair_key', 'UNIQUE (file_id, related_file_id, relationship_type)'),
            ('file_relationships', 'file_relationships_relationship_type_check', 'CHECK (relationship_type IN (''duplicate'', ''version'', ''attachment'', ''derived'', ''related''))'),
            ('file_relationships', 'file_relationships_confidence_check', 'CHECK (confidence BETWEEN 0 AND 1)'),
            ('file_relationships', 'file_relationships_related_file_id_check', 'CHECK (related_file_id <> file_id)'),
            ('file_sources', 'file_sources_file_id_source_source_id_key', 'UNIQUE NULLS NOT DISTINCT (file_id, source, source_id)'),
            ('file_sources', 'file_sources_source_check', 'CHECK (source IN (''calendar'', ''calendar_attachment'', ''drive'', ''email_attachment'', ''gmail'', ''link'', ''upload''))'),
            ('file_sources', 'file_sources_last_seen_at_check', 'CHECK (last_seen_at >= first_seen_at)')
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
            ('knowledge_base', 'knowledge_base_file_id_fkey', 'file_id', 'file_registry', 'id', 'CASCADE'),
            ('file_relationships', 'file_relationships_file_id_fkey', 'file_id', 'file_registry', 'id', 'CASCADE'),
            ('file_relationships', 'file_relationships_related_file_id_fkey', 'related_file_id', 'file_registry', 'id', 'CASCADE'),
            ('file_sources', 'file_sources_file_id_fkey', 'file_id', 'file_registry', 'id', 'CASCADE')
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

CREATE INDEX IF NOT EXISTS idx_knowledge_base_file_id ON knowledge_base (file_id);
CREATE INDEX IF NOT EXISTS idx_file_relationships_related_file_id ON file_relationships (related_file_id);
CREATE INDEX IF NOT EXISTS idx_file_relationships_type ON file_relationships (relationship_type, file_id);
CREATE INDEX IF NOT EXISTS idx_file_sources_source ON file_sources (source, source_id);

CREATE OR REPLACE VIEW duplicate_files WITH (security_invoker = true) AS
    SELECT user_id, content_hash, count(*) AS copies, min(created_at) AS first_seen_at,
           array_agg(id ORDER BY created_at, id) AS file_ids, sum(file_size) - max(file_size) AS wasted_bytes
    FROM file_registry
    WHERE content_hash IS NOT NULL AND is_current_version
    GROUP BY user_id, content_hash
    HAVING count(*) > 1;
COMMENT ON VIEW duplicate_files IS 'Files of a person whose content is the same.';

CREATE OR REPLACE FUNCTION link_duplicate_files() RETURNS integer
    LANGUAGE sql SET search_path FROM CURRENT
AS $$
    WITH linked AS (
        INSERT INTO file_relationships (file_id, related_file_id, relationship_type)
        SELECT copy.id, d.file_ids[1], 'duplicate'
        FROM duplicate_files AS d
        CROSS JOIN LATERAL unnest(d.file_ids[2:]) AS copy (id)
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT count(*)::integer FROM linked
$$;
COMMENT ON FUNCTION link_duplicate_files() IS 'Writes a relationship from each copy that the caller may see to the first file with its content, and returns how many were new.';

-- Files that were there before their sources were kept.
INSERT INTO file_sources (file_id, source, source_id, source_metadata, first_seen_at, last_seen_at)
SELECT f.id, f.file_source, f.source_id, coalesce(f.source_metadata, '{}'), coalesce(f.created_at, now()), coalesce(f.created_at, now())
FROM file_registry AS f
WHERE f.file_source IS NOT NULL AND NOT EXISTS (SELECT FROM file_sources AS s WHERE s.file_id = f.id::text)
ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION file_registry_track_source() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO file_sources (file_id, source, source_id, source_metadata)
    VALUES (NEW.id, NEW.file_source, NEW.source_id, coalesce(NEW.source_metadata, '{}'))
    ON CONFLICT (file_id, source, source_id)
        DO UPDATE SET last_seen_at = greatest(now(), file_sources.last_seen_at), source_metadata = excluded.source_metadata;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_registry_track_source() IS 'Trigger: keeps every place where a file was seen.';
CREATE OR REPLACE TRIGGER file_registry_track_source AFTER INSERT OR UPDATE OF file_source, source_id ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_source();

ALTER TABLE file_relationships ENABLE ROW LEVEL SECURITY;
ALTER TABLE file_sources ENABLE ROW LEVEL SECURITY;

-- Made only where the columns that a policy compares are text: on a database from
-- before, the repairs convert them and make the policies that wait for it.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('knowledge_base', 'knowledge_base_own_file', ARRAY['file_registry.id', 'file_registry.user_id', 'knowledge_base.file_id'], 'AS RESTRICTIVE WITH CHECK (file_id IS NULL OR EXISTS (SELECT FROM file_registry AS f WHERE f.id = knowledge_base.file_id AND f.user_id = (SELECT requesting_user_id())))'),
            ('file_relationships', 'file_relationships_owner', ARRAY['file_registry.id', 'file_registry.user_id'], 'USING (EXISTS (SELECT FROM file_registry AS f WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id()))) WITH CHECK (EXISTS (SELECT FROM file_registry AS f WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id())) AND EXISTS (SELECT FROM file_registry AS f WHERE f.id = file_relationships.related_file_id AND f.user_id = (SELECT requesting_user_id())))'),
            ('file_sources', 'file_sources_owner', ARRAY['file_registry.id', 'file_registry.user_id'], 'USING (EXISTS (SELECT FROM file_registry AS f WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id()))) WITH CHECK (EXISTS (SELECT FROM file_registry AS f WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id())))')
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
            ('TABLE file_relationships', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE file_sources', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('TABLE duplicate_files', 'SELECT', 'SELECT'),
            ('FUNCTION link_duplicate_files()', 'EXECUTE', 'EXECUTE'),
            ('FUNCTION file_registry_track_source()', NULL, NULL)
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

COMMENT ON TABLE file_relationships IS 'Files that belong together; reached through the file.';
COMMENT ON COLUMN file_relationships.related_file_id IS 'The earlier or the greater one: the original, the version before, what it is attached to.';
COMMENT ON COLUMN file_relationships.confidence IS 'From 0 to 1.';
COMMENT ON TABLE file_sources IS 'Every place where a file was seen: Gmail, Drive, an upload and so on; reached through the file.';
COMMENT ON COLUMN file_sources.source_id IS 'Its number there.';
COMMENT ON COLUMN knowledge_base.file_id IS 'The file that the piece was learnt from; it goes with the file.';
