-- chatgpt-import-schema.sql
--
-- Conversations that came from an export of ChatGPT: the import, its
-- conversations, their messages, and which conversation of KimbleAI goes on
-- with one. A conversation has an owner; its messages are reached through it.

CREATE TABLE chatgpt_imports (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text NOT NULL,
    filename text,
    file_size bigint,
    drive_file_id text,
    status text NOT NULL DEFAULT 'pending',
    conversation_count integer NOT NULL DEFAULT 0,
    message_count integer NOT NULL DEFAULT 0,
    skipped_count integer NOT NULL DEFAULT 0,
    error_message text,
    started_at timestamptz,
    completed_at timestamptz,
    metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chatgpt_imports_pkey PRIMARY KEY (id),
    CONSTRAINT chatgpt_imports_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_imports_status_check CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    CONSTRAINT chatgpt_imports_file_size_check CHECK (file_size >= 0),
    CONSTRAINT chatgpt_imports_conversation_count_check CHECK (conversation_count >= 0),
    CONSTRAINT chatgpt_imports_message_count_check CHECK (message_count >= 0),
    CONSTRAINT chatgpt_imports_skipped_count_check CHECK (skipped_count >= 0)
);

CREATE TABLE chatgpt_conversations (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text NOT NULL,
    import_id uuid,
    kimbleai_conversation_id text,
    title text,
    create_time bigint,
    update_time bigint,
    message_count integer DEFAULT 0,
    full_text text,
    embedding vector(1536),
    drive_file_id text,
    import_date timestamptz NOT NULL DEFAULT now(),
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chatgpt_conversations_pkey PRIMARY KEY (id),
    CONSTRAINT chatgpt_conversations_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_conversations_import_id_fkey
        FOREIGN KEY (import_id) REFERENCES chatgpt_imports (id) ON DELETE SET NULL,
    CONSTRAINT chatgpt_conversations_kimbleai_conversation_id_fkey
        FOREIGN KEY (kimbleai_conversation_id) REFERENCES conversations (id) ON DELETE SET NULL,
    CONSTRAINT chatgpt_conversations_message_count_check CHECK (message_count >= 0)
);

CREATE TABLE chatgpt_messages (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    conversation_id text NOT NULL,
    user_id text,
    role text NOT NULL,
    content text NOT NULL,
    create_time bigint,
    parent_id text,
    "position" integer DEFAULT 0,
    embedding vector(1536),
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT chatgpt_messages_pkey PRIMARY KEY (id),
    CONSTRAINT chatgpt_messages_conversation_id_fkey
        FOREIGN KEY (conversation_id) REFERENCES chatgpt_conversations (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_messages_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
    CONSTRAINT chatgpt_messages_position_check CHECK ("position" >= 0)
);

CREATE INDEX idx_chatgpt_imports_user_id_created_at ON chatgpt_imports (user_id, created_at DESC);
CREATE INDEX idx_chatgpt_conversations_user_id_create_time ON chatgpt_conversations (user_id, create_time DESC);
CREATE INDEX idx_chatgpt_conversations_import_id ON chatgpt_conversations (import_id);
CREATE INDEX idx_chatgpt_conversations_kimbleai_conversation_id ON chatgpt_conversations (kimbleai_conversation_id);
CREATE INDEX idx_chatgpt_messages_conversation_id_position ON chatgpt_messages (conversation_id, "position");
CREATE INDEX idx_chatgpt_messages_user_id ON chatgpt_messages (user_id);
-- A text of many million characters has more words than a tsvector holds (1 MB),
-- and could not be stored at all: its first 200,000 characters are indexed.
CREATE INDEX idx_chatgpt_conversations_text ON chatgpt_conversations
    USING gin (to_tsvector('english', left(coalesce(title, '') || ' ' || coalesce(full_text, ''), 200000)));
CREATE INDEX idx_chatgpt_messages_text ON chatgpt_messages USING gin (to_tsvector('english', left(content, 200000)));
CREATE INDEX idx_chatgpt_conversations_embedding ON chatgpt_conversations USING hnsw (embedding vector_cosine_ops);
CREATE INDEX idx_chatgpt_messages_embedding ON chatgpt_messages USING hnsw (embedding vector_cosine_ops);

COMMENT ON TABLE chatgpt_imports IS 'Exports of ChatGPT that people brought: one row for each file.';
COMMENT ON COLUMN chatgpt_imports.drive_file_id IS 'The file in Drive, where it is kept there.';
COMMENT ON COLUMN chatgpt_imports.conversation_count IS 'The conversations that were imported.';
COMMENT ON COLUMN chatgpt_imports.message_count IS 'The messages that were imported.';
COMMENT ON COLUMN chatgpt_imports.skipped_count IS 'The conversations that were there already.';
COMMENT ON TABLE chatgpt_conversations IS 'Conversations from an export of ChatGPT.';
COMMENT ON COLUMN chatgpt_conversations.id IS 'The id that ChatGPT gave.';
COMMENT ON COLUMN chatgpt_conversations.import_id IS 'The import that brought it.';
COMMENT ON COLUMN chatgpt_conversations.kimbleai_conversation_id IS
    'The conversation of KimbleAI that goes on with it; NULL for none.';
COMMENT ON COLUMN chatgpt_conversations.create_time IS 'When it began: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_conversations.update_time IS 'When it went on last: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_conversations.full_text IS 'All its messages as one text, to be searched.';
COMMENT ON COLUMN chatgpt_conversations.embedding IS 'Its meaning, for search by cosine distance.';
COMMENT ON COLUMN chatgpt_conversations.drive_file_id IS 'Its file in Drive, where it is kept there.';
COMMENT ON TABLE chatgpt_messages IS 'Messages of such conversations; reached through their conversation.';
COMMENT ON COLUMN chatgpt_messages.id IS 'The id that ChatGPT gave.';
COMMENT ON COLUMN chatgpt_messages.role IS
    'Who speaks, in the export''s words, such as user, assistant, system or tool.';
COMMENT ON COLUMN chatgpt_messages.create_time IS 'When it was said: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_messages.parent_id IS
    'The message before it; '
    'not a key, because an export has parents that are no messages, and children before their parents.';
COMMENT ON COLUMN chatgpt_messages."position" IS 'Its place in the conversation.';
COMMENT ON COLUMN chatgpt_messages.embedding IS 'Its meaning, for search by cosine distance.';

CREATE TRIGGER chatgpt_imports_set_updated_at
    BEFORE UPDATE ON chatgpt_imports
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE TRIGGER chatgpt_conversations_set_updated_at
    BEFORE UPDATE ON chatgpt_conversations
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

-- As track_embedding() of supabase-semantic-search-schema.sql does it for the other tables; where that was not
-- applied there is nothing to keep.
CREATE FUNCTION chatgpt_track_embedding() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $function$
BEGIN
    IF to_regclass('semantic_search_metadata') IS NULL THEN
        RETURN NULL;
    ELSIF TG_OP IN ('DELETE', 'TRUNCATE') THEN
        DELETE FROM semantic_search_metadata AS known
        WHERE known.source_table = TG_TABLE_NAME AND (TG_OP = 'TRUNCATE' OR known.source_id = OLD.id);
    ELSIF TG_TABLE_NAME = 'chatgpt_messages' THEN
        PERFORM note_embedding(
            TG_TABLE_NAME, NEW.id, (SELECT c.user_id FROM chatgpt_conversations AS c WHERE c.id = NEW.conversation_id),
            OLD.content, NEW.content, OLD.embedding, NEW.embedding);
    ELSE
        PERFORM note_embedding(
            TG_TABLE_NAME, NEW.id, NEW.user_id,
            concat_ws(E'\n', OLD.title, OLD.full_text), concat_ws(E'\n', NEW.title, NEW.full_text), OLD.embedding, NEW.embedding);
        IF NEW.user_id <> OLD.user_id THEN
            UPDATE semantic_search_metadata AS known SET user_id = NEW.user_id
            FROM chatgpt_messages AS m
            WHERE m.conversation_id = NEW.id AND known.source_table = 'chatgpt_messages' AND known.source_id = m.id;
        END IF;
    END IF;
    RETURN NULL;
END
$function$;
COMMENT ON FUNCTION chatgpt_track_embedding() IS
    'Trigger: keeps semantic_search_metadata, where it is there, for what was imported.';

CREATE TRIGGER chatgpt_conversations_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF user_id, title, full_text, embedding ON chatgpt_conversations
    FOR EACH ROW EXECUTE FUNCTION chatgpt_track_embedding();
CREATE TRIGGER chatgpt_conversations_track_embedding_truncate AFTER TRUNCATE ON chatgpt_conversations
    FOR EACH STATEMENT EXECUTE FUNCTION chatgpt_track_embedding();
CREATE TRIGGER chatgpt_messages_track_embedding
    AFTER INSERT OR DELETE OR UPDATE OF conversation_id, content, embedding ON chatgpt_messages
    FOR EACH ROW EXECUTE FUNCTION chatgpt_track_embedding();
CREATE TRIGGER chatgpt_messages_track_embedding_truncate AFTER TRUNCATE ON chatgpt_messages
    FOR EACH STATEMENT EXECUTE FUNCTION chatgpt_track_embedding();

ALTER TABLE chatgpt_imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatgpt_conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatgpt_messages ENABLE ROW LEVEL SECURITY;

CREATE POLICY chatgpt_imports_owner ON chatgpt_imports
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id()));
CREATE POLICY chatgpt_conversations_owner ON chatgpt_conversations
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (
        user_id = (SELECT requesting_user_id())
        AND (import_id IS NULL OR EXISTS (
            SELECT FROM chatgpt_imports AS i
            WHERE i.id = chatgpt_conversations.import_id AND i.user_id = (SELECT requesting_user_id())))
        AND (kimbleai_conversation_id IS NULL OR EXISTS (
            SELECT FROM conversations AS c
            WHERE c.id = chatgpt_conversations.kimbleai_conversation_id
              AND c.user_id = (SELECT requesting_user_id()))));
CREATE POLICY chatgpt_messages_owner ON chatgpt_messages
    USING (EXISTS (
        SELECT FROM chatgpt_conversations AS c
        WHERE c.id = chatgpt_messages.conversation_id AND c.user_id = (SELECT requesting_user_id())))
    WITH CHECK (
        EXISTS (
            SELECT FROM chatgpt_conversations AS c
            WHERE c.id = chatgpt_messages.conversation_id AND c.user_id = (SELECT requesting_user_id()))
        AND (user_id IS NULL OR user_id = (SELECT requesting_user_id())));

CREATE FUNCTION search_chatgpt(search_text text, match_count integer DEFAULT 20)
RETURNS TABLE (
    conversation_id text,
    title text,
    message_id text,
    role text,
    excerpt text,
    score real)
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY INVOKER ROWS 20
SET search_path FROM CURRENT SET plan_cache_mode = force_custom_plan
AS $function$
DECLARE
    query tsquery := websearch_to_tsquery('english', search_text);
BEGIN
    -- A conversation that has the words in its title or its whole text counts as
    -- itself (message_id is NULL) where none of its messages has them all.
    RETURN QUERY
        WITH said AS (
            SELECT chat.id AS chat_id, chat.title AS chat_title, message.id AS said_id, message.role AS said_role, message.content AS words,
                   ts_rank(to_tsvector('english', left(message.content, 200000)), query) AS rank
            FROM chatgpt_messages AS message
            JOIN chatgpt_conversations AS chat ON chat.id = message.conversation_id
            WHERE to_tsvector('english', left(message.content, 200000)) @@ query
        ), meant AS (
            SELECT chat.id AS chat_id, chat.title AS chat_title, chat.full_text AS words,
                   ts_rank(to_tsvector('english', left(coalesce(chat.title, '') || ' ' || coalesce(chat.full_text, ''), 200000)), query) AS rank
            FROM chatgpt_conversations AS chat
            WHERE to_tsvector('english', left(coalesce(chat.title, '') || ' ' || coalesce(chat.full_text, ''), 200000)) @@ query
              AND NOT EXISTS (SELECT FROM said WHERE said.chat_id = chat.id)
        ), best AS (
            SELECT said.chat_id, said.chat_title, said.said_id, said.said_role, said.words, said.rank FROM said
            UNION ALL
            SELECT meant.chat_id, meant.chat_title, NULL, NULL, meant.words, meant.rank FROM meant
            ORDER BY rank DESC, chat_id, said_id
            LIMIT match_count
        )
        SELECT best.chat_id, best.chat_title, best.said_id, best.said_role,
               ts_headline('english', left(coalesce(best.words, best.chat_title), 200000), query, 'MaxWords=40, MinWords=15'),
               best.rank
        FROM best
        ORDER BY best.rank DESC, best.chat_id, best.said_id;
END
$function$;
COMMENT ON FUNCTION search_chatgpt(text, integer) IS
    'The imported messages, and conversations, that hold the words of search_text (as in a search engine: '
    '"a phrase", or, -not), the best first, as far as the caller may see them. '
    'The excerpt marks what was found with <b>, and is not escaped otherwise.';
