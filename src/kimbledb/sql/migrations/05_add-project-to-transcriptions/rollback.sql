-- Takes back add-project-to-transcriptions.sql.
DROP POLICY IF EXISTS audio_transcriptions_own_project ON audio_transcriptions;
DROP TRIGGER IF EXISTS audio_transcriptions_general_project ON audio_transcriptions;
DROP INDEX IF EXISTS idx_audio_transcriptions_category_id_category_confidence;
DROP INDEX IF EXISTS idx_audio_transcriptions_project_id_created_at;
ALTER TABLE IF EXISTS audio_transcriptions
    DROP CONSTRAINT IF EXISTS audio_transcriptions_project_id_fkey,
    DROP CONSTRAINT IF EXISTS audio_transcriptions_category_confidence_check;
ALTER TABLE IF EXISTS audio_transcriptions
    DROP COLUMN IF EXISTS category_confidence,
    DROP COLUMN IF EXISTS auto_categorized,
    DROP COLUMN IF EXISTS category_id,
    DROP COLUMN IF EXISTS project_id;
