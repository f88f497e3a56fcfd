DROP TABLE IF EXISTS notifications;
DROP FUNCTION IF EXISTS notifications_track_reading();
