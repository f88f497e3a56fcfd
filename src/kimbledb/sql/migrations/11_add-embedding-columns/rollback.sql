-- Takes back add-embedding-columns.sql.
DROP INDEX IF EXISTS idx_audio_transcriptions_embedding;
DROP INDEX IF EXISTS idx_files_embedding;
DROP INDEX IF EXISTS idx_projects_embedding;
DROP INDEX IF EXISTS idx_conversations_embedding;
ALTER TABLE IF EXISTS audio_transcriptions DROP COLUMN IF EXISTS embedding;
ALTER TABLE IF EXISTS files DROP COLUMN IF EXISTS embedding;
ALTER TABLE IF EXISTS projects DROP COLUMN IF EXISTS embedding;
ALTER TABLE IF EXISTS conversations DROP COLUMN IF EXISTS embedding;
