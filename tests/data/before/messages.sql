-- An older database with {messages} messages, which have embeddings: indexes of another form under declared names, columns
-- that may be NULL, and triggers of another hand that stamp each row which is updated.
CREATE EXTENSION IF NOT EXISTS vector;
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE FUNCTION update_updated_at_column() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN NEW.updated_at = now(); RETURN NEW; END';
CREATE TABLE users (
    id text PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT '2025-01-01'
);
CREATE TABLE projects (
    id text PRIMARY KEY,
    name text NOT NULL,
    owner_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    updated_at timestamptz DEFAULT '2025-01-01'
);
CREATE TABLE conversations (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    project_id text REFERENCES projects ON DELETE SET NULL,
    title text NOT NULL,
    message_count integer DEFAULT 0,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT '2025-01-01'
);
CREATE TABLE messages (
    id text PRIMARY KEY DEFAULT gen_random_uuid()::text,
    conversation_id text NOT NULL REFERENCES conversations ON DELETE CASCADE,
    user_id text NOT NULL REFERENCES users ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('user', 'assistant', 'system')),
    content text NOT NULL,
    embedding vector(1536),
    metadata jsonb DEFAULT '{}',
    tokens_used integer,
    processing_time_ms integer,
    created_at timestamptz DEFAULT now()
);
INSERT INTO users (id, name, email) SELECT 'person_' || n, 'Person ' || n, n || '@example.org' FROM generate_series(1, 10) AS n;
INSERT INTO projects (id, name, owner_id) VALUES ('project', 'A project', 'person_1');
INSERT INTO conversations (id, user_id, project_id, title)
SELECT 'c' || n, 'person_' || 1 + n % 10, 'project', 'Conversation ' || n FROM generate_series(1, {messages} / 20) AS n;

-- Each embedding is the sum of two of 200 others.
CREATE TEMPORARY TABLE directions AS
SELECT n, (SELECT array_agg(sin(n * d))::real[] FROM generate_series(1, 1536) AS d)::vector AS direction
FROM generate_series(1, 200) AS n;
INSERT INTO messages (id, conversation_id, user_id, role, content, embedding, tokens_used)
SELECT 'm' || m, 'c' || 1 + m % ({messages} / 20), 'person_' || 1 + (1 + m % ({messages} / 20)) % 10, 'user',
       'words of message ' || m || repeat(' and more words', 10), one.direction + other.direction, 7
FROM generate_series(1, {messages}) AS m
JOIN directions AS one ON one.n = 1 + m % 97
JOIN directions AS other ON other.n = 100 + m / 97 % 101;
DROP TABLE directions;

CREATE INDEX idx_users_email ON users (email);
CREATE INDEX idx_projects_owner_id ON projects (owner_id);
CREATE INDEX idx_messages_conversation_id ON messages (conversation_id);
CREATE INDEX idx_messages_user_id ON messages (user_id);
CREATE INDEX idx_messages_created_at ON messages (created_at DESC);
SET maintenance_work_mem = '1GB';
CREATE INDEX idx_messages_embedding ON messages USING ivfflat (embedding vector_cosine_ops) WITH (lists = 20);
RESET maintenance_work_mem;
CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_projects_updated_at BEFORE UPDATE ON projects
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
CREATE TRIGGER update_conversations_updated_at BEFORE UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION update_updated_at_column();
ANALYZE;
