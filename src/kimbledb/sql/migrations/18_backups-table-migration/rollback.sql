DROP VIEW IF EXISTS restore_points;
DROP TABLE IF EXISTS backups;
