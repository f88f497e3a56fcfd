-- optimize-projects-FINAL.sql
--
-- Indexes for how the application lists projects and what belongs to them, and
-- statistics that keep the planner from misjudging such joins. Row level
-- security adds the owner to every question a person asks, so the owner comes
-- first in each index.


-- Frequently queried columns: a person's projects by status, or by priority.
CREATE INDEX idx_projects_owner_id_status_updated_at ON projects (owner_id, status, updated_at DESC);
CREATE INDEX idx_projects_owner_id_priority_updated_at ON projects (owner_id, priority, updated_at DESC);

-- Active projects, the latest first. The application asks for active in two ways
-- (status, archived), and for the owner under two names.
CREATE INDEX idx_projects_active_owner_id_updated_at ON projects (owner_id, updated_at DESC)
    WHERE status = 'active';
CREATE INDEX idx_projects_unarchived_user_id_updated_at ON projects (user_id, updated_at DESC)
    WHERE NOT archived;

-- Joins: what belongs to a project, in the order in which it is shown.
CREATE INDEX idx_conversations_user_id_project_id_updated_at
    ON conversations (user_id, project_id, updated_at DESC);
CREATE INDEX idx_audio_transcriptions_user_id_project_id_created_at
    ON audio_transcriptions (user_id, project_id, created_at DESC);
CREATE INDEX idx_files_user_id_project_id_created_at
    ON files (user_id, project_id, created_at DESC);
CREATE INDEX idx_knowledge_base_user_id_project_id_created_at
    ON knowledge_base (user_id, project_id, created_at DESC);

-- A project has one owner, and so have nearly all rows in it; and owner_id and
-- user_id of a project are the same. The planner takes two columns for
-- independent and multiplies what each leaves: it expects 1 row for 30, and the
-- joins above that suffer. (ANALYZE, or autovacuum, fills these.)
CREATE STATISTICS projects_owner_id_user_id_statistics (dependencies, ndistinct)
    ON owner_id, user_id FROM projects;
CREATE STATISTICS conversations_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM conversations;
CREATE STATISTICS audio_transcriptions_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM audio_transcriptions;
CREATE STATISTICS files_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM files;
CREATE STATISTICS knowledge_base_user_id_project_id_statistics (dependencies, ndistinct)
    ON user_id, project_id FROM knowledge_base;
