DROP TABLE IF EXISTS user_tokens;
