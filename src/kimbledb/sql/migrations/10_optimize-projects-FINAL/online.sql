-- The same where these tables hold rows: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_projects_owner_id_status_updated_at
    ON projects (owner_id, status, updated_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_projects_owner_id_priority_updated_at
    ON projects (owner_id, priority, updated_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_projects_active_owner_id_updated_at ON projects (owner_id, updated_at DESC)
    WHERE status = 'active';
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_projects_unarchived_user_id_updated_at
    ON projects (user_id, updated_at DESC)
    WHERE NOT archived;
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_user_id_project_id_updated_at
    ON conversations (user_id, project_id, updated_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_user_id_project_id_created_at
    ON audio_transcriptions (user_id, project_id, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_files_user_id_project_id_created_at
    ON files (user_id, project_id, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_knowledge_base_user_id_project_id_created_at
    ON knowledge_base (user_id, project_id, created_at DESC);
