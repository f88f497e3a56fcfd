-- add-project-to-transcriptions.sql
--
-- The project of a transcription, and what automatic categorization says of it.
-- project_id has no default: a transcription of no project has NULL there, and
-- the application's word for that, 'general', is turned into it.

-- What is made IF NOT EXISTS may have been made by online.sql.
ALTER TABLE audio_transcriptions
    ADD COLUMN IF NOT EXISTS project_id text
        CONSTRAINT audio_transcriptions_project_id_fkey REFERENCES projects (id) ON DELETE SET NULL,
    ADD COLUMN IF NOT EXISTS category_id text,
    ADD COLUMN IF NOT EXISTS auto_categorized boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS category_confidence double precision
        CONSTRAINT audio_transcriptions_category_confidence_check CHECK (category_confidence BETWEEN 0 AND 1);

CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_project_id_created_at
    ON audio_transcriptions (project_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_category_id_category_confidence
    ON audio_transcriptions (category_id, category_confidence);

COMMENT ON COLUMN audio_transcriptions.project_id IS
    'The project it belongs to, NULL for none; ''general'' is taken as none.';
COMMENT ON COLUMN audio_transcriptions.category_id IS
    'The category that automatic categorization, or a person, chose: plain text, not a key.';
COMMENT ON COLUMN audio_transcriptions.auto_categorized IS 'Whether category_id was chosen automatically.';
COMMENT ON COLUMN audio_transcriptions.category_confidence IS 'How sure automatic categorization was, 0 to 1.';

CREATE TRIGGER audio_transcriptions_general_project BEFORE INSERT OR UPDATE OF project_id ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION general_project_is_none();

-- A transcription has an owner of its own. The policy of its owner does not
-- look at the project, so this one, which restricts, does: nobody puts a row
-- into a project of somebody else.
CREATE POLICY audio_transcriptions_own_project ON audio_transcriptions AS RESTRICTIVE
    WITH CHECK (project_id IS NULL OR EXISTS (
        SELECT FROM projects AS project
        WHERE project.id = audio_transcriptions.project_id AND project.owner_id = (SELECT requesting_user_id())));
