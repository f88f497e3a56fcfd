-- The same where there are conversations already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE conversations ADD COLUMN IF NOT EXISTS project_id text;

-- The key holds for new rows at once, and for those that are there when they have been looked at.
DO $key$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'conversations'::regclass AND conname = 'conversations_project_id_fkey')
    THEN
        ALTER TABLE conversations ADD CONSTRAINT conversations_project_id_fkey
            FOREIGN KEY (project_id) REFERENCES projects (id) ON DELETE SET NULL NOT VALID;
    END IF;
END
$key$;

ALTER TABLE conversations VALIDATE CONSTRAINT conversations_project_id_fkey;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_project_id_updated_at
    ON conversations (project_id, updated_at DESC);
