-- A database from before: every id of a person, a project, a conversation and a
-- message is a uuid (or a varchar), with keys, policies, views, triggers, rules,
-- functions, statistics and a publication on them, and rows.
--
-- Plain SQL: run it with search_path set to the schema that gets it and the
-- schemas of the extensions. It needs no extension and no hosted role.

CREATE TABLE users (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email text UNIQUE,
    name text,
    role text DEFAULT 'user',
    preferences jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz DEFAULT now()
);
COMMENT ON TABLE users IS 'People';
COMMENT ON COLUMN users.id IS 'The id of the identity provider';

CREATE TABLE projects (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    name text NOT NULL,
    description text,
    status text DEFAULT 'active',
    priority text DEFAULT 'medium',
    owner_id uuid NOT NULL,
    parent_project_id uuid,
    tags text[] DEFAULT '{}',
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    CONSTRAINT projects_not_own_parent CHECK (parent_project_id IS DISTINCT FROM id)
);
ALTER TABLE projects
    ADD CONSTRAINT projects_owner_id_fkey FOREIGN KEY (owner_id) REFERENCES users (id) ON DELETE CASCADE,
    ADD CONSTRAINT projects_parent_project_id_fkey FOREIGN KEY (parent_project_id) REFERENCES projects (id)
        ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED;
COMMENT ON CONSTRAINT projects_owner_id_fkey ON projects IS 'A project goes with its owner';
CREATE INDEX idx_projects_owner ON projects (owner_id);
CREATE INDEX projects_open_by_owner ON projects (owner_id, updated_at DESC) WHERE status = 'active';

CREATE TABLE conversations (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id uuid REFERENCES projects (id) ON DELETE SET NULL,
    title text,
    summary text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    -- One key over two columns, of which both change, for members' notes below.
    CONSTRAINT conversations_id_user_id_key UNIQUE (id, user_id)
);
CREATE INDEX idx_conversations_user ON conversations (user_id);
CREATE INDEX conversations_by_text_id ON conversations ((user_id::text), created_at DESC);
CREATE INDEX conversations_of_projects ON conversations USING hash (project_id) WHERE project_id IS NOT NULL;
CREATE STATISTICS conversations_user_project (dependencies, ndistinct) ON user_id, project_id FROM conversations;
COMMENT ON STATISTICS conversations_user_project IS 'A person has few projects';

CREATE TABLE messages (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    conversation_id uuid NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    role text NOT NULL,
    content text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz DEFAULT now()
);
CREATE INDEX idx_messages_conversation ON messages (conversation_id, created_at);

CREATE TABLE knowledge_base (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    project_id uuid,
    source_type text NOT NULL DEFAULT 'manual',
    source_id text,
    category text NOT NULL DEFAULT 'general',
    title text NOT NULL,
    content text NOT NULL,
    importance double precision DEFAULT 0.5,
    tags text[] DEFAULT '{}',
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz DEFAULT now()
);
CREATE INDEX knowledge_base_by_user ON knowledge_base (user_id);

CREATE TABLE files (
    id varchar(64) PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id varchar(64),
    filename text NOT NULL,
    file_type text,
    size_bytes bigint,
    status text DEFAULT 'completed',
    metadata jsonb DEFAULT '{}'::jsonb,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE audio_transcriptions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    project_id varchar(64) DEFAULT 'general',
    filename text NOT NULL,
    file_size integer,
    duration integer,
    text text,
    segments json,
    created_at timestamp DEFAULT now()
);

CREATE TABLE processed_images (
    id serial PRIMARY KEY,
    user_id uuid NOT NULL,
    project_id uuid REFERENCES projects (id) ON DELETE SET NULL,
    file_id text,
    filename text,
    analysis text,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE categories (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    parent_id uuid REFERENCES categories (id) ON DELETE CASCADE,
    name text NOT NULL,
    created_at timestamptz DEFAULT now()
);
ALTER TABLE projects ADD COLUMN category_id uuid REFERENCES categories (id) ON DELETE SET NULL;

CREATE TABLE user_tokens (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    access_token text,
    refresh_token text,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE activity_logs (
    id bigserial PRIMARY KEY,
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    action_type text,
    resource_id text,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE api_cost_tracking (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    model text NOT NULL,
    endpoint text NOT NULL,
    input_tokens integer DEFAULT 0,
    output_tokens integer DEFAULT 0,
    cost_usd numeric(10,6) NOT NULL,
    cached boolean DEFAULT false,
    "timestamp" timestamptz DEFAULT now(),
    metadata jsonb DEFAULT '{}'::jsonb
);
CREATE INDEX idx_api_cost_tracking_user_time ON api_cost_tracking (user_id, "timestamp" DESC);

CREATE TABLE budget_config (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid UNIQUE REFERENCES users (id) ON DELETE CASCADE,
    monthly_limit numeric(10,2) NOT NULL DEFAULT 100,
    daily_limit numeric(10,2) NOT NULL DEFAULT 10,
    hourly_limit numeric(10,2) NOT NULL DEFAULT 2,
    hard_stop_enabled boolean DEFAULT false,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now()
);

CREATE TABLE budget_alerts (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    severity text NOT NULL CHECK (severity IN ('warning', 'critical', 'emergency')),
    percent_used numeric(5,2) NOT NULL,
    message text NOT NULL,
    status jsonb NOT NULL DEFAULT '{}'::jsonb,
    "timestamp" timestamptz DEFAULT now(),
    acknowledged boolean DEFAULT false
);

CREATE TABLE model_performance_metrics (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid REFERENCES users (id) ON DELETE CASCADE,
    conversation_id uuid,
    message_id uuid,
    model text NOT NULL,
    provider text NOT NULL DEFAULT 'openai',
    task_type text NOT NULL DEFAULT 'general_chat',
    response_time_ms integer NOT NULL,
    tokens_used integer,
    success boolean DEFAULT true,
    "timestamp" timestamptz DEFAULT now()
);

CREATE TABLE file_registry (
    id text PRIMARY KEY DEFAULT ('file_' || gen_random_uuid()::text),
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    filename text NOT NULL,
    mime_type text NOT NULL,
    file_source text NOT NULL CHECK (file_source IN ('upload', 'gmail', 'drive', 'calendar')),
    processed boolean DEFAULT false,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE notifications (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    type text NOT NULL CHECK (type IN ('success', 'error', 'info', 'warning')),
    title text NOT NULL,
    message text NOT NULL,
    read boolean DEFAULT false,
    created_at timestamptz DEFAULT now()
);

CREATE TABLE backups (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL,
    backup_type text NOT NULL CHECK (backup_type IN ('manual', 'automatic', 'scheduled')),
    status text NOT NULL CHECK (status IN ('pending', 'in_progress', 'completed', 'failed')),
    file_count integer DEFAULT 0,
    created_at timestamptz DEFAULT now()
);

-- The user's own tables: tied by keys to what changes, also by two columns at once.
CREATE TABLE project_members (
    project_id uuid NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    since date DEFAULT current_date,
    PRIMARY KEY (project_id, user_id)
);
CREATE TABLE member_notes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    conversation_id uuid,
    user_id uuid,
    note text,
    CONSTRAINT member_notes_conversation_fkey FOREIGN KEY (conversation_id, user_id)
        REFERENCES conversations (id, user_id) MATCH FULL ON DELETE CASCADE
);
-- A table of somebody's that has the same names and is nobody's of the catalog: it stays as it is.
CREATE TABLE devices_of_somebody (
    user_id uuid,
    project_id uuid,
    serial text
);

-- Policies: per command, for a role, restrictive, through another table. They
-- compare as text, which fits before and after.
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE api_cost_tracking ENABLE ROW LEVEL SECURITY;
ALTER TABLE project_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE member_notes ENABLE ROW LEVEL SECURITY;
ALTER TABLE devices_of_somebody ENABLE ROW LEVEL SECURITY;
CREATE POLICY projects_of_members ON projects FOR SELECT TO pg_read_all_data
    USING (EXISTS (SELECT 1 FROM project_members m
                   WHERE m.project_id = projects.id
                     AND m.user_id::text = (SELECT current_setting('kimbledb.user_id', true))));
CREATE POLICY projects_insert ON projects FOR INSERT
    WITH CHECK (owner_id::text = (SELECT current_setting('kimbledb.user_id', true)));
CREATE POLICY "Only own conversations" ON conversations AS RESTRICTIVE FOR ALL TO pg_read_all_data, pg_write_all_data
    USING (user_id::text = (SELECT current_setting('kimbledb.user_id', true)))
    WITH CHECK (user_id::text = (SELECT current_setting('kimbledb.user_id', true)));
COMMENT ON POLICY "Only own conversations" ON conversations IS 'Nobody reads another''s';
CREATE POLICY messages_by_conversation ON messages FOR UPDATE
    USING (conversation_id IN (SELECT c.id FROM conversations c
                               WHERE c.user_id::text = (SELECT current_setting('kimbledb.user_id', true))));
CREATE POLICY api_cost_tracking_user_policy ON api_cost_tracking FOR SELECT
    USING (user_id::text = (SELECT current_setting('kimbledb.user_id', true)));

-- Views on views, with options, grants, comments, a rule, a trigger and a default.
CREATE VIEW active_projects WITH (security_barrier = true, check_option = local) AS
    SELECT id, name, owner_id, status FROM projects WHERE status = 'active';
COMMENT ON VIEW active_projects IS 'Projects in work';
COMMENT ON COLUMN active_projects.owner_id IS 'Whose';
ALTER VIEW active_projects ALTER COLUMN status SET DEFAULT 'active';
GRANT SELECT ON active_projects TO pg_read_all_data WITH GRANT OPTION;
GRANT UPDATE (name) ON active_projects TO pg_write_all_data;

CREATE VIEW "Project Load" (project, owner, conversations, messages) AS
    SELECT p.id, p.owner_id, count(DISTINCT c.id), count(m.id)
    FROM active_projects p
    LEFT JOIN conversations c ON c.project_id = p.id
    LEFT JOIN messages m ON m.conversation_id = c.id
    GROUP BY p.id, p.owner_id;
CREATE VIEW busy_projects AS
    SELECT l.*, u.email FROM "Project Load" l JOIN users u ON u.id = l.owner WHERE l.messages > 5;
CREATE MATERIALIZED VIEW project_load_kept AS SELECT * FROM busy_projects;
CREATE UNIQUE INDEX project_load_kept_project ON project_load_kept (project);
COMMENT ON MATERIALIZED VIEW project_load_kept IS 'Yesterday''s load';
CREATE VIEW daily_cost_summary AS
    SELECT date("timestamp") AS date, user_id, count(*) AS total_calls, sum(cost_usd) AS total_cost
    FROM api_cost_tracking GROUP BY 1, 2;
CREATE VIEW conversation_titles AS SELECT id, user_id, title FROM conversations;
CREATE FUNCTION conversation_titles_insert() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO conversations (user_id, title) VALUES (NEW.user_id, NEW.title); RETURN NEW; END';
CREATE TRIGGER conversation_titles_insert INSTEAD OF INSERT ON conversation_titles
    FOR EACH ROW EXECUTE FUNCTION conversation_titles_insert();
CREATE RULE conversation_titles_delete AS ON DELETE TO conversation_titles
    DO INSTEAD UPDATE conversations SET title = NULL WHERE conversations.id = OLD.id;

-- Functions with a body that the server keeps parsed, and one that gives a view's rows.
CREATE FUNCTION messages_of(asked text) RETURNS bigint STABLE
    BEGIN ATOMIC SELECT count(*) FROM messages WHERE user_id::text = asked; END;
COMMENT ON FUNCTION messages_of(text) IS 'How many messages a person wrote';
REVOKE ALL ON FUNCTION messages_of(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION messages_of(text) TO pg_monitor;
CREATE FUNCTION busiest(how_many integer) RETURNS SETOF busy_projects STABLE LANGUAGE sql AS
    'SELECT * FROM busy_projects ORDER BY messages DESC LIMIT how_many';

-- Triggers that name the columns, one of them switched off, and a rule on a table.
CREATE TABLE owner_changes (project text, former text, later text, at timestamptz DEFAULT now());
ALTER TABLE owner_changes ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION note_owner_change() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO owner_changes (project, former, later) VALUES (NEW.id::text, OLD.owner_id::text, NEW.owner_id::text); RETURN NEW; END';
CREATE TRIGGER note_owner_change AFTER UPDATE OF owner_id ON projects
    FOR EACH ROW WHEN (OLD.owner_id IS DISTINCT FROM NEW.owner_id) EXECUTE FUNCTION note_owner_change();
COMMENT ON TRIGGER note_owner_change ON projects IS 'Keeps former owners';
CREATE TRIGGER note_owner_change_too AFTER UPDATE OF owner_id ON projects
    FOR EACH ROW EXECUTE FUNCTION note_owner_change();
ALTER TABLE projects DISABLE TRIGGER note_owner_change_too;
CREATE RULE the_first_user_stays AS ON DELETE TO users
    WHERE OLD.id::text = '00000000-0000-0000-0000-000000000001' DO INSTEAD NOTHING;
COMMENT ON RULE the_first_user_stays ON users IS 'Somebody has to';

-- Rows with relations: 40 people, 120 projects, 600 conversations, 2,400 messages and the rest.
CREATE FUNCTION uuid_of(kind text, number integer) RETURNS uuid IMMUTABLE LANGUAGE sql AS
    'SELECT md5(kind || number)::uuid';
INSERT INTO users (id, email, name) SELECT uuid_of('user', n), 'user' || n || '@example.org', 'User ' || n FROM generate_series(1, 40) n;
INSERT INTO projects (id, name, owner_id, parent_project_id, status)
    SELECT uuid_of('project', n), 'Project ' || n, uuid_of('user', n % 40 + 1),
           CASE WHEN n % 3 = 0 THEN uuid_of('project', n / 3) END,
           CASE WHEN n % 5 = 0 THEN 'archived' ELSE 'active' END
    FROM generate_series(1, 120) n;
INSERT INTO categories (id, user_id, parent_id, name)
    SELECT uuid_of('category', n), uuid_of('user', n), CASE WHEN n % 2 = 0 THEN uuid_of('category', n - 1) END, 'Category ' || n
    FROM generate_series(1, 20) n;
UPDATE projects SET category_id = (SELECT c.id FROM categories c WHERE c.user_id = projects.owner_id);
INSERT INTO user_tokens (id, user_id, access_token) SELECT uuid_of('token', n), uuid_of('user', n), 'secret ' || n FROM generate_series(1, 15) n;
INSERT INTO processed_images (user_id, project_id, filename)
    SELECT uuid_of('user', n % 40 + 1), CASE WHEN n % 2 = 0 THEN uuid_of('project', n % 120 + 1) END, n || '.png' FROM generate_series(1, 60) n;
INSERT INTO project_members (project_id, user_id)
    SELECT uuid_of('project', n), uuid_of('user', (n * k) % 40 + 1) FROM generate_series(1, 120) n, generate_series(1, 2) k
    ON CONFLICT DO NOTHING;
INSERT INTO conversations (id, user_id, project_id, title)
    SELECT uuid_of('conversation', n), uuid_of('user', n % 40 + 1),
           CASE WHEN n % 4 > 0 THEN uuid_of('project', n % 120 + 1) END, 'Conversation ' || n
    FROM generate_series(1, 600) n;
INSERT INTO member_notes (conversation_id, user_id, note)
    SELECT uuid_of('conversation', n), uuid_of('user', n % 40 + 1), 'note ' || n FROM generate_series(1, 200) n;
INSERT INTO messages (id, conversation_id, user_id, role, content)
    SELECT uuid_of('message', n), uuid_of('conversation', n % 600 + 1), uuid_of('user', (n % 600 + 1) % 40 + 1),
           CASE WHEN n % 2 = 0 THEN 'user' ELSE 'assistant' END, 'Message ' || n
    FROM generate_series(1, 2400) n;
INSERT INTO knowledge_base (id, user_id, project_id, source_type, source_id, category, title, content)
    SELECT uuid_of('knowledge', n), uuid_of('user', n % 40 + 1), CASE WHEN n % 2 = 0 THEN uuid_of('project', n % 120 + 1) END,
           'conversation', 'source-' || n, 'general', 'Entry ' || n, 'Content ' || n
    FROM generate_series(1, 300) n;
INSERT INTO files (id, user_id, project_id, filename)
    SELECT 'file-' || n, uuid_of('user', n % 40 + 1), CASE WHEN n % 3 > 0 THEN uuid_of('project', n % 120 + 1)::text END, n || '.pdf'
    FROM generate_series(1, 150) n;
INSERT INTO audio_transcriptions (id, user_id, project_id, filename, file_size, duration, text, segments)
    SELECT uuid_of('audio', n), uuid_of('user', n % 40 + 1),
           CASE WHEN n % 3 = 0 THEN 'general' WHEN n % 3 = 1 THEN uuid_of('project', n % 120 + 1)::text END,
           n || '.m4a', n * 1000, n, 'Text ' || n, '[]'
    FROM generate_series(1, 100) n;
INSERT INTO activity_logs (user_id, action_type) SELECT uuid_of('user', n % 40 + 1), 'login' FROM generate_series(1, 100) n;
INSERT INTO api_cost_tracking (id, user_id, model, endpoint, input_tokens, output_tokens, cost_usd)
    SELECT uuid_of('cost', n), uuid_of('user', n % 40 + 1), 'gpt-4o', '/api/chat', n, n, n / 1000.0 FROM generate_series(1, 500) n;
INSERT INTO budget_config (id, user_id) SELECT uuid_of('budget', n), uuid_of('user', n) FROM generate_series(1, 40) n;
INSERT INTO budget_alerts (id, user_id, severity, percent_used, message)
    SELECT uuid_of('alert', n), CASE WHEN n % 10 > 0 THEN uuid_of('user', n % 40 + 1) END, 'warning', 50, 'Half' FROM generate_series(1, 60) n;
INSERT INTO model_performance_metrics (id, user_id, conversation_id, message_id, model, response_time_ms, tokens_used)
    SELECT uuid_of('metric', n), uuid_of('user', n % 40 + 1), uuid_of('conversation', n % 600 + 1), uuid_of('message', n), 'gpt-4o', n, n
    FROM generate_series(1, 200) n;
INSERT INTO file_registry (id, user_id, filename, mime_type, file_source)
    SELECT 'reg-' || n, uuid_of('user', n % 40 + 1), n || '.pdf', 'application/pdf', 'upload' FROM generate_series(1, 80) n;
INSERT INTO notifications (id, user_id, type, title, message)
    SELECT uuid_of('note', n), uuid_of('user', n % 40 + 1), 'info', 'T' || n, 'M' || n FROM generate_series(1, 90) n;
INSERT INTO backups (id, user_id, backup_type, status)
    SELECT uuid_of('backup', n), uuid_of('user', n % 40 + 1), 'manual', 'completed' FROM generate_series(1, 20) n;
INSERT INTO devices_of_somebody SELECT uuid_of('user', n), uuid_of('project', n), 's' || n FROM generate_series(1, 10) n;
REFRESH MATERIALIZED VIEW project_load_kept;
DROP FUNCTION uuid_of(text, integer);
