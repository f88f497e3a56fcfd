DROP TRIGGER IF EXISTS file_registry_track_source ON file_registry;
DROP FUNCTION IF EXISTS file_registry_track_source();
DROP FUNCTION IF EXISTS link_duplicate_files();
DROP VIEW IF EXISTS duplicate_files;
DROP TABLE IF EXISTS file_sources;
DROP TABLE IF EXISTS file_relationships;
DROP POLICY IF EXISTS knowledge_base_own_file ON knowledge_base;
ALTER TABLE IF EXISTS knowledge_base DROP COLUMN IF EXISTS file_id;
