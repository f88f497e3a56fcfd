-- add-project-to-transcriptions.sql
--
-- The project of a transcription, and what automatic categorization says of it.
-- project_id has no default: a transcription of no project has NULL there. The
-- application also writes tags into it, such as 'general' and 'gaming': a name that
-- no project has goes into project_tag.
--
-- Nothing here depends on the column project_id but what goes with it, so that
-- ALTER TABLE audio_transcriptions DROP COLUMN project_id needs no CASCADE.

ALTER TABLE audio_transcriptions
    ADD COLUMN project_id text
        CONSTRAINT audio_transcriptions_project_id_fkey REFERENCES projects (id) ON DELETE SET NULL,
    ADD COLUMN shared_project_id text,
    ADD COLUMN project_tag text,
    ADD COLUMN category_id text,
    ADD COLUMN auto_categorized boolean NOT NULL DEFAULT false,
    ADD COLUMN category_confidence double precision
        CONSTRAINT audio_transcriptions_category_confidence_check CHECK (category_confidence BETWEEN 0 AND 1);

CREATE INDEX idx_audio_transcriptions_project_id_created_at
    ON audio_transcriptions (project_id, created_at DESC);
CREATE INDEX idx_audio_transcriptions_shared_project_id ON audio_transcriptions (shared_project_id);
CREATE INDEX idx_audio_transcriptions_project_tag_created_at
    ON audio_transcriptions (project_tag, created_at DESC);
CREATE INDEX idx_audio_transcriptions_category_id_category_confidence
    ON audio_transcriptions (category_id, category_confidence);

COMMENT ON COLUMN audio_transcriptions.project_id IS
    'The project it belongs to, NULL for none. A name that no project has is moved to project_tag.';
COMMENT ON COLUMN audio_transcriptions.shared_project_id IS 'project_id once more, kept by a trigger, for the policy of collaborators.';
COMMENT ON COLUMN audio_transcriptions.project_tag IS
    'The name that the application gave in place of a project, such as general or gaming.';
COMMENT ON COLUMN audio_transcriptions.category_id IS
    'The category that automatic categorization, or a person, chose: plain text, not a key.';
COMMENT ON COLUMN audio_transcriptions.auto_categorized IS 'Whether category_id was chosen automatically.';
COMMENT ON COLUMN audio_transcriptions.category_confidence IS 'How sure automatic categorization was, 0 to 1.';

-- Whether a project exists does not depend on who asks: a definer's rights see all of them.
CREATE FUNCTION audio_transcriptions_tag_or_project() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT has_column(TG_RELID, 'project_id') THEN
        RETURN NEW;
    END IF;
    IF NEW.project_id IS NOT DISTINCT FROM OLD.project_id THEN
        RETURN NEW;
    END IF;
    IF EXISTS (SELECT FROM projects WHERE id = NEW.project_id) THEN
        -- A tag in place of a project goes when a project comes; one beside a project stays.
        IF TG_OP = 'UPDATE' AND OLD.project_id IS NULL AND NEW.project_tag IS NOT DISTINCT FROM OLD.project_tag THEN
            NEW.project_tag := NULL;
        END IF;
    ELSIF NEW.project_id IS NOT NULL THEN
        IF NEW.project_tag IS DISTINCT FROM OLD.project_tag AND NEW.project_tag <> NEW.project_id THEN
            RAISE EXCEPTION 'audio_transcriptions.project_id names no project, and audio_transcriptions.project_tag is another name'
                USING ERRCODE = 'check_violation', TABLE = 'audio_transcriptions', COLUMN = 'project_tag',
                      HINT = 'Give one of them, or the same name in both.';
        END IF;
        NEW.project_tag := NEW.project_id;
        NEW.project_id := NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION audio_transcriptions_tag_or_project() IS
    'Trigger: moves a project_id that names no project to project_tag, and takes a tag away that a project replaces.';
CREATE TRIGGER audio_transcriptions_tag_or_project BEFORE INSERT OR UPDATE ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION audio_transcriptions_tag_or_project();
-- After it, by its name.
CREATE TRIGGER audio_transcriptions_track_shared_project BEFORE INSERT OR UPDATE ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION track_shared_project();

-- A transcription has an owner of its own. The policy of its owner does not
-- look at the project, so this one, which restricts, does: nobody puts a row
-- into a project of somebody else.
CREATE POLICY audio_transcriptions_own_project ON audio_transcriptions AS RESTRICTIVE
    WITH CHECK (is_in_own_project(audio_transcriptions));
CREATE POLICY audio_transcriptions_collaborator_read ON audio_transcriptions FOR SELECT
    USING (shared_project_id = ANY ((SELECT shared_projects())::text[]) AND is_project_of(shared_project_id, user_id));
