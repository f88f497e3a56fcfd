-- Files and the rest: what was learnt from a file, which files belong together, and
-- where each was seen.

ALTER TABLE knowledge_base
    ADD COLUMN IF NOT EXISTS file_id text
        CONSTRAINT knowledge_base_file_id_fkey REFERENCES file_registry (id) ON DELETE CASCADE;

CREATE TABLE file_relationships (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    file_id text NOT NULL,
    related_file_id text NOT NULL,
    relationship_type text NOT NULL,
    confidence double precision NOT NULL DEFAULT 1,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_relationships_pkey PRIMARY KEY (id),
    CONSTRAINT file_relationships_pair_key UNIQUE (file_id, related_file_id, relationship_type),
    CONSTRAINT file_relationships_relationship_type_check
        CHECK (relationship_type IN ('duplicate', 'version', 'attachment', 'derived', 'related')),
    CONSTRAINT file_relationships_confidence_check CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT file_relationships_related_file_id_check CHECK (related_file_id <> file_id),
    CONSTRAINT file_relationships_file_id_fkey FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE,
    CONSTRAINT file_relationships_related_file_id_fkey
        FOREIGN KEY (related_file_id) REFERENCES file_registry (id) ON DELETE CASCADE
);

CREATE TABLE file_sources (
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
    CONSTRAINT file_sources_source_check
        CHECK (source IN ('calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload')),
    CONSTRAINT file_sources_last_seen_at_check CHECK (last_seen_at >= first_seen_at),
    CONSTRAINT file_sources_file_id_fkey FOREIGN KEY (file_id) REFERENCES file_registry (id) ON DELETE CASCADE
);

CREATE INDEX IF NOT EXISTS idx_knowledge_base_file_id ON knowledge_base (file_id);
CREATE INDEX idx_file_relationships_related_file_id ON file_relationships (related_file_id);
CREATE INDEX idx_file_relationships_type ON file_relationships (relationship_type, file_id);
CREATE INDEX idx_file_sources_source ON file_sources (source, source_id);

CREATE VIEW duplicate_files WITH (security_invoker = true) AS
    SELECT user_id, content_hash, count(*) AS copies, min(created_at) AS first_seen_at,
           array_agg(id ORDER BY created_at, id) AS file_ids, sum(file_size) - max(file_size) AS wasted_bytes
    FROM file_registry
    WHERE content_hash IS NOT NULL AND is_current_version
    GROUP BY user_id, content_hash
    HAVING count(*) > 1;
COMMENT ON VIEW duplicate_files IS 'Files of a person whose content is the same.';

CREATE FUNCTION link_duplicate_files() RETURNS integer
    LANGUAGE sql SET search_path FROM CURRENT
AS $$
    WITH linked AS (
        INSERT INTO file_relationships (file_id, related_file_id, relationship_type)
        SELECT copy.id, d.file_ids[1], 'duplicate'
        FROM duplicate_files AS d
        CROSS JOIN LATERAL unnest(d.file_ids[2:]) AS copy (id)
        -- A collaborator sees copies of others, too, and links none of them.
        WHERE NOT row_security_active('file_registry') OR d.user_id = requesting_user_id()
        ON CONFLICT DO NOTHING
        RETURNING 1
    )
    SELECT count(*)::integer FROM linked
$$;
COMMENT ON FUNCTION link_duplicate_files() IS
    'Writes a relationship from each copy of the caller (of everybody, for the service) to the first file with its content, and returns how many were new.';

-- Files that were there before their sources were kept.
INSERT INTO file_sources (file_id, source, source_id, source_metadata, first_seen_at, last_seen_at)
SELECT id, file_source, source_id, coalesce(source_metadata, '{}'), created_at, created_at
FROM file_registry;

CREATE FUNCTION file_registry_track_source() RETURNS trigger
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
CREATE TRIGGER file_registry_track_source AFTER INSERT OR UPDATE OF file_source, source_id ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_source();

-- The versions likewise.
INSERT INTO file_relationships (file_id, related_file_id, relationship_type)
SELECT id, previous_version_id, 'version'
FROM file_registry
WHERE previous_version_id IS NOT NULL;

CREATE FUNCTION file_registry_track_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        DELETE FROM file_relationships AS pair
        WHERE pair.file_id = NEW.id AND pair.related_file_id = OLD.previous_version_id AND pair.relationship_type = 'version';
    END IF;
    IF NEW.previous_version_id IS NOT NULL THEN
        INSERT INTO file_relationships (file_id, related_file_id, relationship_type)
        VALUES (NEW.id, NEW.previous_version_id, 'version')
        ON CONFLICT DO NOTHING;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_registry_track_version() IS 'Trigger: keeps the relationship of a file to its version before.';
CREATE TRIGGER file_registry_track_version AFTER INSERT OR UPDATE OF previous_version_id ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_version();

ALTER TABLE file_relationships ENABLE ROW LEVEL SECURITY;
ALTER TABLE file_sources ENABLE ROW LEVEL SECURITY;

CREATE POLICY knowledge_base_own_file ON knowledge_base AS RESTRICTIVE
    WITH CHECK (
        file_id IS NULL
        OR EXISTS (SELECT FROM file_registry AS f
                   WHERE f.id = knowledge_base.file_id AND f.user_id = (SELECT requesting_user_id())));
CREATE POLICY file_relationships_owner ON file_relationships
    USING (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id())))
    WITH CHECK (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_relationships.file_id AND f.user_id = (SELECT requesting_user_id()))
        AND EXISTS (SELECT FROM file_registry AS f
                    WHERE f.id = file_relationships.related_file_id AND f.user_id = (SELECT requesting_user_id())));
CREATE POLICY file_sources_owner ON file_sources
    USING (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id())))
    WITH CHECK (
        EXISTS (SELECT FROM file_registry AS f
                WHERE f.id = file_sources.file_id AND f.user_id = (SELECT requesting_user_id())));

COMMENT ON TABLE file_relationships IS 'Files that belong together; reached through the file.';
COMMENT ON COLUMN file_relationships.related_file_id IS
    'The earlier or the greater one: the original, the version before, what it is attached to.';
COMMENT ON COLUMN file_relationships.confidence IS 'From 0 to 1.';
COMMENT ON TABLE file_sources IS
    'Every place where a file was seen: Gmail, Drive, an upload and so on; reached through the file.';
COMMENT ON COLUMN file_sources.source_id IS 'Its number there.';
COMMENT ON COLUMN knowledge_base.file_id IS 'The file that the piece was learnt from; it goes with the file.';
