DROP TABLE IF EXISTS file_registry;
DROP FUNCTION IF EXISTS file_registry_next_version();
DROP FUNCTION IF EXISTS file_registry_track_processing();
