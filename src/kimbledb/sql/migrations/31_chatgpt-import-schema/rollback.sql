-- Takes back chatgpt-import-schema.sql.
DROP FUNCTION IF EXISTS search_chatgpt(text, integer);
DROP TABLE IF EXISTS chatgpt_messages;
DROP TABLE IF EXISTS chatgpt_conversations;
DROP TABLE IF EXISTS chatgpt_imports;
