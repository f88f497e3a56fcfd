-- Everything that apply.sql made, in the order of dependence; extensions stay.

DROP TABLE IF EXISTS auth_logs;
DROP TABLE IF EXISTS activity_logs;
DROP TABLE IF EXISTS processed_documents;
DROP TABLE IF EXISTS processed_images;
DROP TABLE IF EXISTS audio_transcriptions;
DROP TABLE IF EXISTS files;
DROP TABLE IF EXISTS knowledge_base;
DROP TABLE IF EXISTS messages;
DROP TABLE IF EXISTS conversations;
DROP TABLE IF EXISTS projects;
DROP TABLE IF EXISTS users;
DROP FUNCTION IF EXISTS projects_sync_owner_id();
DROP FUNCTION IF EXISTS general_project_is_none();
DROP FUNCTION IF EXISTS set_updated_at();
DROP FUNCTION IF EXISTS requesting_user_id();
