-- Takes back add-project-id-to-conversations.sql.
DROP POLICY IF EXISTS conversations_own_project ON conversations;
DROP INDEX IF EXISTS idx_conversations_project_id_updated_at;
ALTER TABLE IF EXISTS conversations DROP CONSTRAINT IF EXISTS conversations_project_id_fkey;
ALTER TABLE IF EXISTS conversations DROP COLUMN IF EXISTS project_id;
