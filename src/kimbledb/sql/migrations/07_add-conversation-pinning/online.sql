-- The same where there are conversations already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE conversations
    ADD COLUMN IF NOT EXISTS is_pinned boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS pinned boolean DEFAULT false,
    ADD COLUMN IF NOT EXISTS pinned_at timestamptz,
    ADD COLUMN IF NOT EXISTS pinned_by text;

-- The key holds for new rows at once, and for those that are there when they have been looked at.
DO $key$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'conversations'::regclass AND conname = 'conversations_pinned_by_fkey')
    THEN
        ALTER TABLE conversations ADD CONSTRAINT conversations_pinned_by_fkey
            FOREIGN KEY (pinned_by) REFERENCES users (id) ON DELETE SET NULL NOT VALID;
    END IF;
END
$key$;

ALTER TABLE conversations VALIDATE CONSTRAINT conversations_pinned_by_fkey;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_user_id_pinned_at
    ON conversations (user_id, pinned_at DESC) WHERE is_pinned;
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_pinned_by ON conversations (pinned_by);
