-- Takes back indexing-state-schema.sql.
DROP TABLE IF EXISTS indexing_state;
DROP FUNCTION IF EXISTS indexing_state_track_sync();
