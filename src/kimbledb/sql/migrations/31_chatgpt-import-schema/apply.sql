-- chatgpt-import-schema.sql
--
-- Conversations that came from an export of ChatGPT: the import, its
-- conversations, their messages, and which conversation of KimbleAI goes on
-- with one. A conversation has an owner; its messages are reached through it.

CREATE TABLE IF NOT EXISTS chatgpt_imports (
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
    CONSTRAINT chatgpt_imports_status_check CHECK (status IN ('pending', 'processing', 'completed', 'failed')),
    CONSTRAINT chatgpt_imports_file_size_check CHECK (file_size >= 0),
    CONSTRAINT chatgpt_imports_conversation_count_check CHECK (conversation_count >= 0),
    CONSTRAINT chatgpt_imports_message_count_check CHECK (message_count >= 0),
    CONSTRAINT chatgpt_imports_skipped_count_check CHECK (skipped_count >= 0)
);
ALTER TABLE chatgpt_imports
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS filename text,
    ADD COLUMN IF NOT EXISTS file_size bigint,
    ADD COLUMN IF NOT EXISTS drive_file_id text,
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'pending',
    ADD COLUMN IF NOT EXISTS conversation_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS message_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS skipped_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS error_message text,
    ADD COLUMN IF NOT EXISTS started_at timestamptz,
    ADD COLUMN IF NOT EXISTS completed_at timestamptz,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS chatgpt_conversations (
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
    CONSTRAINT chatgpt_conversations_message_count_check CHECK (message_count >= 0)
);
ALTER TABLE chatgpt_conversations
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS import_id uuid,
    ADD COLUMN IF NOT EXISTS kimbleai_conversation_id text,
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS create_time bigint,
    ADD COLUMN IF NOT EXISTS update_time bigint,
    ADD COLUMN IF NOT EXISTS message_count integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS full_text text,
    ADD COLUMN IF NOT EXISTS embedding vector(1536),
    ADD COLUMN IF NOT EXISTS drive_file_id text,
    ADD COLUMN IF NOT EXISTS import_date timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS chatgpt_messages (
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
    CONSTRAINT chatgpt_messages_position_check CHECK ("position" >= 0)
);
ALTER TABLE chatgpt_messages
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS conversation_id text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS role text,
    ADD COLUMN IF NOT EXISTS content text,
    ADD COLUMN IF NOT EXISTS create_time bigint,
    ADD COLUMN IF NOT EXISTS parent_id text,
    ADD COLUMN IF NOT EXISTS "position" integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS embedding vector(1536),
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}'::jsonb,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

-- A table made by hand may have a column without its default, or with NULL in it:
-- it gets the default, and NOT NULL where no NULL is left.
ALTER TABLE chatgpt_imports
    ALTER COLUMN id SET DEFAULT gen_random_uuid(),
    ALTER COLUMN status SET DEFAULT 'pending',
    ALTER COLUMN conversation_count SET DEFAULT 0,
    ALTER COLUMN message_count SET DEFAULT 0,
    ALTER COLUMN skipped_count SET DEFAULT 0,
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE chatgpt_conversations
    ALTER COLUMN id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN message_count SET DEFAULT 0,
    ALTER COLUMN import_date SET DEFAULT now(),
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now(),
    ALTER COLUMN updated_at SET DEFAULT now();
ALTER TABLE chatgpt_messages
    ALTER COLUMN id SET DEFAULT gen_random_uuid()::text,
    ALTER COLUMN "position" SET DEFAULT 0,
    ALTER COLUMN metadata SET DEFAULT '{}'::jsonb,
    ALTER COLUMN created_at SET DEFAULT now();
DO $columns$
DECLARE
    loose record;
    filled boolean;
BEGIN
    FOR loose IN
        SELECT tab.relname, col.attname, col.atthasdef
        FROM pg_catalog.pg_attribute AS col
        JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attnotnull AND NOT col.attisdropped
          AND (tab.relname, col.attname) IN (
            ('chatgpt_imports', 'id'), ('chatgpt_imports', 'user_id'), ('chatgpt_imports', 'status'),
            ('chatgpt_imports', 'conversation_count'), ('chatgpt_imports', 'message_count'),
            ('chatgpt_imports', 'skipped_count'), ('chatgpt_imports', 'metadata'), ('chatgpt_imports', 'created_at'),
            ('chatgpt_imports', 'updated_at'),
            ('chatgpt_conversations', 'id'), ('chatgpt_conversations', 'user_id'),
            ('chatgpt_conversations', 'import_date'), ('chatgpt_conversations', 'created_at'),
            ('chatgpt_conversations', 'updated_at'),
            ('chatgpt_messages', 'id'), ('chatgpt_messages', 'conversation_id'), ('chatgpt_messages', 'role'),
            ('chatgpt_messages', 'content'), ('chatgpt_messages', 'created_at'))
    LOOP
        IF loose.atthasdef THEN
            EXECUTE format('UPDATE %I SET %I = DEFAULT WHERE %2$I IS NULL', loose.relname, loose.attname);
        END IF;
        EXECUTE format('SELECT NOT EXISTS (SELECT FROM %I WHERE %I IS NULL)', loose.relname, loose.attname) INTO filled;
        IF filled THEN
            EXECUTE format('ALTER TABLE %I ALTER COLUMN %I SET NOT NULL', loose.relname, loose.attname);
        END IF;
    END LOOP;
END
$columns$;

-- Keys and checks that a table made by hand may lack.
DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('chatgpt_imports', 'chatgpt_imports_pkey', 'PRIMARY KEY (id)'),
            ('chatgpt_imports', 'chatgpt_imports_status_check',
             $$CHECK (status IN ('pending', 'processing', 'completed', 'failed'))$$),
            ('chatgpt_imports', 'chatgpt_imports_file_size_check', 'CHECK (file_size >= 0)'),
            ('chatgpt_imports', 'chatgpt_imports_conversation_count_check', 'CHECK (conversation_count >= 0)'),
            ('chatgpt_imports', 'chatgpt_imports_message_count_check', 'CHECK (message_count >= 0)'),
            ('chatgpt_imports', 'chatgpt_imports_skipped_count_check', 'CHECK (skipped_count >= 0)'),
            ('chatgpt_conversations', 'chatgpt_conversations_pkey', 'PRIMARY KEY (id)'),
            ('chatgpt_conversations', 'chatgpt_conversations_message_count_check', 'CHECK (message_count >= 0)'),
            ('chatgpt_messages', 'chatgpt_messages_pkey', 'PRIMARY KEY (id)'),
            ('chatgpt_messages', 'chatgpt_messages_position_check', 'CHECK ("position" >= 0)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
              AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%')))
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition;
    END LOOP;
END
$checks$;

-- Keys are added only between columns of one type: a database from before may
-- still have uuid here, and the repairs (FIX_PROJECT_ID_TYPE.sql and its
-- followers) convert those columns and add the keys that wait for it.
DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT *
        FROM (VALUES
            ('chatgpt_imports', 'chatgpt_imports_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('chatgpt_conversations', 'chatgpt_conversations_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('chatgpt_conversations', 'chatgpt_conversations_import_id_fkey', 'import_id', 'chatgpt_imports', 'id', 'SET NULL'),
            ('chatgpt_conversations', 'chatgpt_conversations_kimbleai_conversation_id_fkey', 'kimbleai_conversation_id', 'conversations', 'id', 'SET NULL'),
            ('chatgpt_messages', 'chatgpt_messages_conversation_id_fkey', 'conversation_id', 'chatgpt_conversations', 'id', 'CASCADE'),
            ('chatgpt_messages', 'chatgpt_messages_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE')
        ) AS wanted (child, name, child_column, parent, parent_column, on_delete)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
              AND tab.relname = wanted.child AND present.conname = wanted.name)
          AND (SELECT count(DISTINCT col.atttypid) = 1
               FROM pg_catalog.pg_attribute AS col
               JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
               WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
                 AND (tab.relname, col.attname) IN ((wanted.child, wanted.child_column), (wanted.parent, wanted.parent_column)))
    LOOP
        EXECUTE format(
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

CREATE INDEX IF NOT EXISTS idx_chatgpt_imports_user_id_created_at ON chatgpt_imports (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_chatgpt_conversations_user_id_create_time
    ON chatgpt_conversations (user_id, create_time DESC);
CREATE INDEX IF NOT EXISTS idx_chatgpt_conversations_import_id ON chatgpt_conversations (import_id);
CREATE INDEX IF NOT EXISTS idx_chatgpt_conversations_kimbleai_conversation_id
    ON chatgpt_conversations (kimbleai_conversation_id);
CREATE INDEX IF NOT EXISTS idx_chatgpt_messages_conversation_id_position
    ON chatgpt_messages (conversation_id, "position");
CREATE INDEX IF NOT EXISTS idx_chatgpt_messages_user_id ON chatgpt_messages (user_id);
-- A text of many million characters has more words than a tsvector holds (1 MB),
-- and could not be stored at all: its first 200,000 characters are indexed.
CREATE INDEX IF NOT EXISTS idx_chatgpt_conversations_text
    ON chatgpt_conversations
    USING gin (to_tsvector('english', left(coalesce(title, '') || ' ' || coalesce(full_text, ''), 200000)));
CREATE INDEX IF NOT EXISTS idx_chatgpt_messages_text
    ON chatgpt_messages
    USING gin (to_tsvector('english', left(content, 200000)));
CREATE INDEX IF NOT EXISTS idx_chatgpt_conversations_embedding
    ON chatgpt_conversations USING hnsw (embedding vector_cosine_ops);
CREATE INDEX IF NOT EXISTS idx_chatgpt_messages_embedding
    ON chatgpt_messages USING hnsw (embedding vector_cosine_ops);

COMMENT ON TABLE chatgpt_imports IS 'Exports of ChatGPT that people brought: one row for each file.';
COMMENT ON COLUMN chatgpt_imports.drive_file_id IS 'The file in Drive, where it is kept there.';
COMMENT ON COLUMN chatgpt_imports.conversation_count IS 'The conversations that were imported.';
COMMENT ON COLUMN chatgpt_imports.message_count IS 'The messages that were imported.';
COMMENT ON COLUMN chatgpt_imports.skipped_count IS 'The conversations that were there already.';
COMMENT ON TABLE chatgpt_conversations IS 'Conversations from an export of ChatGPT.';
COMMENT ON COLUMN chatgpt_conversations.id IS 'The id that ChatGPT gave.';
COMMENT ON COLUMN chatgpt_conversations.import_id IS 'The import that brought it.';
COMMENT ON COLUMN chatgpt_conversations.kimbleai_conversation_id IS 'The conversation of KimbleAI that goes on with it; NULL for none.';
COMMENT ON COLUMN chatgpt_conversations.create_time IS 'When it began: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_conversations.update_time IS 'When it went on last: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_conversations.full_text IS 'All its messages as one text, to be searched.';
COMMENT ON COLUMN chatgpt_conversations.embedding IS 'Its meaning, for search by cosine distance.';
COMMENT ON COLUMN chatgpt_conversations.drive_file_id IS 'Its file in Drive, where it is kept there.';
COMMENT ON TABLE chatgpt_messages IS 'Messages of such conversations; reached through their conversation.';
COMMENT ON COLUMN chatgpt_messages.id IS 'The id that ChatGPT gave.';
COMMENT ON COLUMN chatgpt_messages.role IS 'Who speaks, in the export''s words, such as user, assistant, system or tool.';
COMMENT ON COLUMN chatgpt_messages.create_time IS 'When it was said: the Unix time that the export has.';
COMMENT ON COLUMN chatgpt_messages.parent_id IS 'The message before it; not a key, because an export has parents that are no messages, and children before their parents.';
COMMENT ON COLUMN chatgpt_messages."position" IS 'Its place in the conversation.';
COMMENT ON COLUMN chatgpt_messages.embedding IS 'Its meaning, for search by cosine distance.';

CREATE OR REPLACE TRIGGER chatgpt_imports_set_updated_at
    BEFORE UPDATE ON chatgpt_imports
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER chatgpt_conversations_set_updated_at
    BEFORE UPDATE ON chatgpt_conversations
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE chatgpt_imports ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatgpt_conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE chatgpt_messages ENABLE ROW LEVEL SECURITY;

-- A policy is made only where the columns that it compares are text: on a
-- database from before they may wait for the repairs. Row level security without
-- its policy is closed, never open.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('chatgpt_imports', 'chatgpt_imports_owner',
             ARRAY['chatgpt_imports.user_id'],
             $$USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))$$),
            ('chatgpt_conversations', 'chatgpt_conversations_owner',
             ARRAY['chatgpt_conversations.user_id', 'chatgpt_conversations.kimbleai_conversation_id', 'chatgpt_imports.user_id', 'conversations.id', 'conversations.user_id'],
             $$USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())
               AND (import_id IS NULL OR EXISTS (SELECT FROM chatgpt_imports AS i WHERE i.id = chatgpt_conversations.import_id AND i.user_id = (SELECT requesting_user_id())))
               AND (kimbleai_conversation_id IS NULL OR EXISTS (SELECT FROM conversations AS c WHERE c.id = chatgpt_conversations.kimbleai_conversation_id AND c.user_id = (SELECT requesting_user_id()))))$$),
            ('chatgpt_messages', 'chatgpt_messages_owner',
             ARRAY['chatgpt_messages.conversation_id', 'chatgpt_messages.user_id', 'chatgpt_conversations.id', 'chatgpt_conversations.user_id'],
             $$USING (EXISTS (SELECT FROM chatgpt_conversations AS c WHERE c.id = chatgpt_messages.conversation_id AND c.user_id = (SELECT requesting_user_id())))
               WITH CHECK (EXISTS (SELECT FROM chatgpt_conversations AS c WHERE c.id = chatgpt_messages.conversation_id AND c.user_id = (SELECT requesting_user_id()))
               AND (user_id IS NULL OR user_id = (SELECT requesting_user_id())))$$)
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policies AS present
            WHERE present.schemaname = current_schema() AND present.tablename = listed.tab AND present.policyname = listed.name)
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND t.relname || '.' || col.attname = ANY (listed.compares) AND col.atttypid <> 'pg_catalog.text'::regtype)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

CREATE OR REPLACE FUNCTION search_chatgpt(search_text text, match_count integer DEFAULT 20)
RETURNS TABLE (
    conversation_id text,
    title text,
    message_id text,
    role text,
    excerpt text,
    score real)
LANGUAGE plpgsql
STABLE
PARALLEL SAFE
SECURITY INVOKER
ROWS 20
SET search_path FROM CURRENT
SET plan_cache_mode = force_custom_plan
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
    'The imported messages, and conversations, that hold the words of search_text (as in a search engine: "a phrase", or, -not), the best first, as far as the caller may see them. The excerpt marks what was found with <b>, and is not escaped otherwise.';

-- The hosted platform's default privileges give its roles everything on what is
-- new: it is taken back, and each role gets what it needs.
DO $grants$
DECLARE
    api_role text;
    granted record;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('chatgpt_imports', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('chatgpt_conversations', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE'),
            ('chatgpt_messages', 'SELECT, INSERT, UPDATE, DELETE', 'SELECT, INSERT, UPDATE, DELETE')
        ) AS listed (name, people, service)
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %I FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %I FROM %I', granted.name, api_role);
            IF api_role = 'service_role' THEN
                EXECUTE format('GRANT %s ON TABLE %I TO service_role', granted.service, granted.name);
            ELSIF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON TABLE %I TO authenticated', granted.people, granted.name);
            END IF;
        END LOOP;
    END LOOP;
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('search_chatgpt(text, integer)', '{authenticated,service_role}'::text[])
        ) AS listed (name, callers)
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', granted.name);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %s FROM %I', granted.name, api_role);
            IF api_role = ANY (granted.callers) THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', granted.name, api_role);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;
