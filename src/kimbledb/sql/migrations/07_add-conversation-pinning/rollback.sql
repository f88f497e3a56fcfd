-- Takes back add-conversation-pinning.sql.
DROP TRIGGER IF EXISTS conversations_track_pinning ON conversations;
DROP TRIGGER IF EXISTS conversations_sync_is_pinned ON conversations;
DROP FUNCTION IF EXISTS conversations_track_pinning();
DROP FUNCTION IF EXISTS conversations_sync_is_pinned();
DROP INDEX IF EXISTS idx_conversations_pinned_by;
DROP INDEX IF EXISTS idx_conversations_user_id_pinned_at;
ALTER TABLE IF EXISTS conversations DROP CONSTRAINT IF EXISTS conversations_pinned_by_fkey;
ALTER TABLE IF EXISTS conversations
    DROP COLUMN IF EXISTS pinned_by,
    DROP COLUMN IF EXISTS pinned_at,
    DROP COLUMN IF EXISTS pinned,
    DROP COLUMN IF EXISTS is_pinned;
