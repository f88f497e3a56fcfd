DROP VIEW IF EXISTS user_connections;
DROP TABLE IF EXISTS user_tokens;
