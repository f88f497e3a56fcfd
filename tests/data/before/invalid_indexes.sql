-- After uuid_ids.sql, each statement in a transaction of its own: two indexes
-- that a failed build leaves invalid, and the cause taken away again.
INSERT INTO conversations (id, user_id, title) SELECT md5('twice')::uuid, id, 'Conversation 1' FROM users ORDER BY id LIMIT 1;
CREATE UNIQUE INDEX CONCURRENTLY conversations_title_once ON conversations (title);
CREATE UNIQUE INDEX CONCURRENTLY conversations_user_title_once ON conversations ((user_id IS NOT NULL), title);
DELETE FROM conversations WHERE id = md5('twice')::uuid;
