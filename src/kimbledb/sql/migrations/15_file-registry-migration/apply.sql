-- Every file that a person has anywhere, with where it came from, its versions, its
-- thumbnail, and how far its processing is.

CREATE TABLE file_registry (
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
    -- A trigger fills it in.
    first_version_id text NOT NULL,
    is_current_version boolean NOT NULL DEFAULT true,
    indexed_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT file_registry_pkey PRIMARY KEY (id),
    CONSTRAINT file_registry_file_source_check
        CHECK (file_source IN
            ('calendar', 'calendar_attachment', 'drive', 'email_attachment', 'gmail', 'link', 'upload')),
    CONSTRAINT file_registry_processing_status_check
        CHECK (processing_status IN ('pending', 'processing', 'completed', 'failed')),
    CONSTRAINT file_registry_file_size_check CHECK (file_size >= 0),
    CONSTRAINT file_registry_version_check CHECK (version >= 1),
    CONSTRAINT file_registry_previous_version_id_check CHECK (previous_version_id <> id),
    CONSTRAINT file_registry_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT file_registry_file_id_fkey FOREIGN KEY (file_id) REFERENCES files (id) ON DELETE SET NULL,
    CONSTRAINT file_registry_previous_version_id_fkey
        FOREIGN KEY (previous_version_id) REFERENCES file_registry (id) ON DELETE SET NULL
);

CREATE INDEX idx_file_registry_user_id ON file_registry (user_id, created_at DESC);
CREATE INDEX idx_file_registry_indexed_at ON file_registry (user_id, indexed_at DESC NULLS LAST);
CREATE INDEX idx_file_registry_source ON file_registry (file_source, source_id);
CREATE INDEX idx_file_registry_file_id ON file_registry (file_id);
-- A version has one next version, and a file one current version.
CREATE UNIQUE INDEX idx_file_registry_previous_version_id ON file_registry (previous_version_id);
CREATE UNIQUE INDEX idx_file_registry_current_version
    ON file_registry (user_id, first_version_id) NULLS NOT DISTINCT WHERE is_current_version;
CREATE INDEX idx_file_registry_first_version_id ON file_registry (first_version_id, version);
CREATE INDEX idx_file_registry_content_hash ON file_registry (user_id, content_hash) WHERE content_hash IS NOT NULL;
CREATE INDEX idx_file_registry_mime_type ON file_registry (user_id, mime_type);
CREATE INDEX idx_file_registry_filename ON file_registry USING gin (filename gin_trgm_ops);
CREATE INDEX idx_file_registry_tags ON file_registry USING gin (tags);
CREATE INDEX idx_file_registry_projects ON file_registry USING gin (projects);
CREATE INDEX idx_file_registry_metadata ON file_registry USING gin (metadata);
CREATE INDEX idx_file_registry_source_metadata ON file_registry USING gin (source_metadata);
-- What a worker looks for.
CREATE INDEX idx_file_registry_unprocessed ON file_registry (created_at) WHERE NOT processed;

CREATE FUNCTION file_registry_track_processing() RETURNS trigger
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
COMMENT ON FUNCTION file_registry_track_processing() IS
    'Trigger: keeps processed and processing_status together, and stamps start and end.';
CREATE TRIGGER file_registry_track_processing BEFORE INSERT OR UPDATE OF processed, processing_status ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_track_processing();

CREATE FUNCTION file_registry_next_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    before file_registry;
    other text;
BEGIN
    IF TG_OP = 'INSERT' AND NEW.previous_version_id IS NULL THEN
        NEW.first_version_id := NEW.id;
        RETURN NEW;
    ELSIF TG_OP = 'UPDATE' AND NEW.previous_version_id IS NOT DISTINCT FROM OLD.previous_version_id THEN
        NEW.first_version_id := coalesce(
            (SELECT f.first_version_id FROM file_registry AS f WHERE f.id = NEW.previous_version_id), OLD.first_version_id);
        RETURN NEW;
    ELSIF NEW.previous_version_id IS NULL THEN
        -- Its version before was deleted, or it is a file of its own from now on.
        NEW.first_version_id := CASE WHEN EXISTS (SELECT FROM file_registry AS f WHERE f.id = OLD.previous_version_id)
                                     THEN NEW.id ELSE OLD.first_version_id END;
        RETURN NEW;
    END IF;
    -- The key alone would let a person name a file of somebody else: it looks past row
    -- level security. A policy of the table cannot look at the table itself.
    -- Of two who name one version at once, the second waits here, and finds the version of the first.
    UPDATE file_registry AS f SET is_current_version = false
    WHERE f.id = NEW.previous_version_id AND f.user_id IS NOT DISTINCT FROM NEW.user_id
    RETURNING f.* INTO before;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'file_registry.previous_version_id: % is no file of the same person', NEW.previous_version_id
            USING ERRCODE = 'foreign_key_violation', TABLE = 'file_registry', COLUMN = 'previous_version_id';
    END IF;
    SELECT f.id INTO other FROM file_registry AS f WHERE f.previous_version_id = NEW.previous_version_id AND f.id <> NEW.id;
    IF FOUND THEN
        RAISE EXCEPTION 'file_registry.previous_version_id: % has a next version already, %', NEW.previous_version_id, other
            USING ERRCODE = 'unique_violation', TABLE = 'file_registry', COLUMN = 'previous_version_id',
                  HINT = 'Name the current version of the file.';
    END IF;
    IF EXISTS (
        WITH RECURSIVE older AS (
            SELECT before.id, before.previous_version_id
            UNION
            SELECT f.id, f.previous_version_id FROM file_registry AS f JOIN older ON f.id = older.previous_version_id)
        SELECT FROM older WHERE older.id = NEW.id)
    THEN
        RAISE EXCEPTION 'file_registry.previous_version_id: % is a later version of %', NEW.previous_version_id, NEW.id
            USING ERRCODE = 'check_violation', TABLE = 'file_registry', COLUMN = 'previous_version_id';
    END IF;
    NEW.version := greatest(NEW.version, before.version + 1);
    NEW.first_version_id := before.first_version_id;
    NEW.is_current_version := NOT EXISTS (SELECT FROM file_registry AS f WHERE f.previous_version_id = NEW.id);
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION file_registry_next_version() IS
    'Trigger: counts a file''s versions, retires the one before, and sees that both are of one person and that it has no other next version.';
CREATE TRIGGER file_registry_next_version BEFORE INSERT OR UPDATE OF previous_version_id, first_version_id ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_next_version();

CREATE FUNCTION file_registry_follow_version() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        UPDATE file_registry AS f
        SET first_version_id = NEW.first_version_id, version = greatest(f.version, NEW.version + 1)
        WHERE f.previous_version_id = NEW.id;
        IF NEW.first_version_id = OLD.first_version_id THEN
            RETURN NULL;
        END IF;
    END IF;
    IF OLD.is_current_version THEN
        UPDATE file_registry AS f SET is_current_version = true
        WHERE f.id = (SELECT own.id FROM file_registry AS own
                      WHERE own.first_version_id = OLD.first_version_id AND own.user_id IS NOT DISTINCT FROM OLD.user_id
                      ORDER BY own.version DESC, own.id LIMIT 1);
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION file_registry_follow_version() IS
    'Trigger: later versions go with the one before, and where the current version goes, the latest that is left becomes current.';
CREATE TRIGGER file_registry_follow_version AFTER UPDATE OF previous_version_id, first_version_id ON file_registry
    FOR EACH ROW WHEN ((NEW.first_version_id, NEW.version) IS DISTINCT FROM (OLD.first_version_id, OLD.version))
    EXECUTE FUNCTION file_registry_follow_version();
CREATE TRIGGER file_registry_follow_deleted_version AFTER DELETE ON file_registry
    FOR EACH ROW EXECUTE FUNCTION file_registry_follow_version();
CREATE TRIGGER file_registry_set_updated_at BEFORE UPDATE ON file_registry
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE file_registry ENABLE ROW LEVEL SECURITY;

CREATE POLICY file_registry_owner ON file_registry
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (
        user_id = (SELECT requesting_user_id())
        AND (file_id IS NULL
             OR EXISTS (SELECT FROM files AS f
                        WHERE f.id = file_registry.file_id AND f.user_id = (SELECT requesting_user_id()))));
-- A collaborator reads what the owner of a project has in it. The first condition is for the index.
CREATE POLICY file_registry_collaborator_read ON file_registry FOR SELECT
    USING (projects && (SELECT shared_projects())
        AND EXISTS (SELECT FROM projects AS p WHERE p.id = ANY (file_registry.projects) AND p.owner_id = file_registry.user_id));

COMMENT ON TABLE file_registry IS 'Every file that a person has anywhere: uploads, mails, Drive, calendars, links.';
COMMENT ON COLUMN file_registry.file_id IS 'The file of the table files, where it is one.';
COMMENT ON COLUMN file_registry.source_id IS 'Its number where it came from.';
COMMENT ON COLUMN file_registry.knowledge_base_ids IS 'The pieces of knowledge that were made of it.';
COMMENT ON COLUMN file_registry.projects IS 'The projects that it belongs to.';
COMMENT ON COLUMN file_registry.thumbnail_path IS 'Where its small picture lies in the storage.';
COMMENT ON COLUMN file_registry.content_hash IS 'The SHA-256 of its content, to find copies.';
COMMENT ON COLUMN file_registry.first_version_id IS
    'The first version of the file, which all its versions share, also when that one is gone. Kept by a trigger.';
COMMENT ON COLUMN file_registry.version IS 'Counted by a trigger along previous_version_id.';
COMMENT ON COLUMN file_registry.is_current_version IS 'False once a newer version names it as its previous one.';
