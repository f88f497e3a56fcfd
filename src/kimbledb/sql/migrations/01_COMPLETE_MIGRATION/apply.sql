-- The foundation: people, projects, conversations, messages, knowledge, files
-- with what was read out of them, and the two activity logs.
--
-- Identifiers of people, projects and conversations are text. Whoever asks is
-- told by requesting_user_id(); every policy compares with it, computed once.

-- Functions that the whole schema uses.

CREATE OR REPLACE FUNCTION requesting_user_id() RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE SET search_path FROM CURRENT
AS $$
    SELECT coalesce(
        nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', ''),
        nullif(current_setting('kimbledb.user_id', true), ''))
$$;
COMMENT ON FUNCTION requesting_user_id() IS
    'Who asks: the claim sub of request.jwt.claims, and only where that is empty the setting kimbledb.user_id.';

CREATE OR REPLACE FUNCTION set_updated_at() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    -- A statement that sets the column itself is taken at its word.
    IF NEW.updated_at IS NOT DISTINCT FROM OLD.updated_at THEN
        NEW.updated_at := now();
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION set_updated_at() IS 'Trigger: stamps a changed row, unless the statement stamped it itself.';

CREATE OR REPLACE FUNCTION general_project_is_none() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    -- 'general' is the application's word for "in no project", and no project of that name exists.
    IF NEW.project_id::text = 'general' THEN
        NEW.project_id := NULL;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION general_project_is_none() IS 'Trigger: the project_id ''general'' means no project.';

CREATE OR REPLACE FUNCTION projects_sync_owner_id() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
DECLARE
    owner_changed boolean;
    user_changed boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        owner_changed := NEW.owner_id IS NOT NULL;
        user_changed := NEW.user_id IS NOT NULL;
    ELSE
        owner_changed := NEW.owner_id IS DISTINCT FROM OLD.owner_id;
        user_changed := NEW.user_id IS DISTINCT FROM OLD.user_id;
    END IF;
    IF owner_changed AND user_changed AND NEW.owner_id IS DISTINCT FROM NEW.user_id THEN
        RAISE EXCEPTION 'projects.owner_id and projects.user_id are one thing and were given different values'
            USING ERRCODE = 'check_violation', TABLE = 'projects', COLUMN = 'user_id';
    ELSIF owner_changed THEN
        NEW.user_id := NEW.owner_id;
    ELSIF user_changed THEN
        NEW.owner_id := NEW.user_id;
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION projects_sync_owner_id() IS 'Trigger: keeps owner_id and the application''s user_id of a project equal.';

-- Tables. Each is made whole where it is missing, and completed where it is there in part.

CREATE TABLE IF NOT EXISTS users (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    name text,
    email text,
    role text NOT NULL DEFAULT 'user',
    avatar_url text,
    preferences jsonb NOT NULL DEFAULT '{}',
    permissions jsonb NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_pkey PRIMARY KEY (id),
    CONSTRAINT users_role_check CHECK (role IN ('admin', 'user', 'viewer'))
);
ALTER TABLE users
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS email text,
    ADD COLUMN IF NOT EXISTS role text NOT NULL DEFAULT 'user',
    ADD COLUMN IF NOT EXISTS avatar_url text,
    ADD COLUMN IF NOT EXISTS preferences jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS permissions jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS projects (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    name text NOT NULL,
    description text,
    status text NOT NULL DEFAULT 'active',
    priority text NOT NULL DEFAULT 'medium',
    owner_id text,
    user_id text,
    collaborators text[] NOT NULL DEFAULT '{}',
    parent_project_id text,
    tags text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}',
    stats jsonb NOT NULL DEFAULT '{}',
    color text,
    archived boolean NOT NULL DEFAULT false,
    auto_created boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT projects_pkey PRIMARY KEY (id),
    CONSTRAINT projects_status_check CHECK (status IN ('active', 'archived', 'completed', 'paused')),
    CONSTRAINT projects_priority_check CHECK (priority IN ('critical', 'high', 'low', 'medium')),
    CONSTRAINT projects_parent_project_id_check CHECK (parent_project_id <> id)
);
ALTER TABLE projects
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'active',
    ADD COLUMN IF NOT EXISTS priority text NOT NULL DEFAULT 'medium',
    ADD COLUMN IF NOT EXISTS owner_id text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS collaborators text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS parent_project_id text,
    ADD COLUMN IF NOT EXISTS tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS stats jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS color text,
    ADD COLUMN IF NOT EXISTS archived boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS auto_created boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS conversations (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    title text,
    summary text,
    status text DEFAULT 'active',
    tags text[] DEFAULT '{}',
    participant_count integer NOT NULL DEFAULT 1,
    message_count integer DEFAULT 0,
    messages jsonb,
    metadata jsonb DEFAULT '{}',
    auto_organized boolean NOT NULL DEFAULT false,
    organization_confidence double precision,
    last_message_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT conversations_pkey PRIMARY KEY (id),
    CONSTRAINT conversations_participant_count_check CHECK (participant_count >= 0),
    CONSTRAINT conversations_message_count_check CHECK (message_count >= 0),
    CONSTRAINT conversations_organization_confidence_check CHECK (organization_confidence BETWEEN 0 AND 1)
);
ALTER TABLE conversations
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS summary text,
    ADD COLUMN IF NOT EXISTS status text DEFAULT 'active',
    ADD COLUMN IF NOT EXISTS tags text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS participant_count integer NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS message_count integer DEFAULT 0,
    ADD COLUMN IF NOT EXISTS messages jsonb,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS auto_organized boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS organization_confidence double precision,
    ADD COLUMN IF NOT EXISTS last_message_at timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS messages (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    conversation_id text NOT NULL,
    user_id text,
    project_id text,
    role text NOT NULL,
    content text NOT NULL,
    embedding vector(1536),
    metadata jsonb DEFAULT '{}',
    tokens_used integer,
    processing_time_ms integer,
    "timestamp" timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT messages_pkey PRIMARY KEY (id),
    CONSTRAINT messages_role_check CHECK (role IN ('assistant', 'system', 'user')),
    CONSTRAINT messages_tokens_used_check CHECK (tokens_used >= 0),
    CONSTRAINT messages_processing_time_ms_check CHECK (processing_time_ms >= 0)
);
ALTER TABLE messages
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS conversation_id text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS role text,
    ADD COLUMN IF NOT EXISTS content text,
    ADD COLUMN IF NOT EXISTS embedding vector(1536),
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS tokens_used integer,
    ADD COLUMN IF NOT EXISTS processing_time_ms integer,
    ADD COLUMN IF NOT EXISTS "timestamp" timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS knowledge_base (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    project_id text,
    source_type text,
    source_id text,
    category text,
    title text,
    content text,
    embedding vector(1536),
    importance double precision DEFAULT 0.5,
    confidence double precision DEFAULT 1,
    tags text[] DEFAULT '{}',
    metadata jsonb DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT true,
    access_count integer NOT NULL DEFAULT 0,
    last_accessed timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT knowledge_base_pkey PRIMARY KEY (id),
    CONSTRAINT knowledge_base_importance_check CHECK (importance BETWEEN 0 AND 1),
    CONSTRAINT knowledge_base_confidence_check CHECK (confidence BETWEEN 0 AND 1),
    CONSTRAINT knowledge_base_access_count_check CHECK (access_count >= 0)
);
ALTER TABLE knowledge_base
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS source_type text,
    ADD COLUMN IF NOT EXISTS source_id text,
    ADD COLUMN IF NOT EXISTS category text,
    ADD COLUMN IF NOT EXISTS title text,
    ADD COLUMN IF NOT EXISTS content text,
    ADD COLUMN IF NOT EXISTS embedding vector(1536),
    ADD COLUMN IF NOT EXISTS importance double precision DEFAULT 0.5,
    ADD COLUMN IF NOT EXISTS confidence double precision DEFAULT 1,
    ADD COLUMN IF NOT EXISTS tags text[] DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS is_active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS access_count integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS last_accessed timestamptz,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS files (
    id text NOT NULL DEFAULT gen_random_uuid()::text,
    user_id text,
    project_id text,
    filename text,
    original_filename text,
    file_type text,
    mime_type text,
    size_bytes bigint,
    storage_path text,
    status text NOT NULL DEFAULT 'processing',
    metadata jsonb NOT NULL DEFAULT '{}',
    processed_content text,
    tags text[] NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT files_pkey PRIMARY KEY (id),
    CONSTRAINT files_status_check CHECK (status IN ('completed', 'error', 'processing')),
    CONSTRAINT files_size_bytes_check CHECK (size_bytes >= 0)
);
ALTER TABLE files
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS filename text,
    ADD COLUMN IF NOT EXISTS original_filename text,
    ADD COLUMN IF NOT EXISTS file_type text,
    ADD COLUMN IF NOT EXISTS mime_type text,
    ADD COLUMN IF NOT EXISTS size_bytes bigint,
    ADD COLUMN IF NOT EXISTS storage_path text,
    ADD COLUMN IF NOT EXISTS status text NOT NULL DEFAULT 'processing',
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS processed_content text,
    ADD COLUMN IF NOT EXISTS tags text[] NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS audio_transcriptions (
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    user_id text,
    file_id text,
    filename text,
    file_size bigint,
    duration double precision,
    text text,
    content text,
    segments jsonb,
    words jsonb,
    utterances jsonb,
    chapters jsonb,
    language text,
    storage_url text,
    metadata jsonb DEFAULT '{}',
    is_active boolean NOT NULL DEFAULT true,
    detected_at timestamptz NOT NULL DEFAULT now(),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audio_transcriptions_pkey PRIMARY KEY (id),
    CONSTRAINT audio_transcriptions_file_size_check CHECK (file_size >= 0),
    CONSTRAINT audio_transcriptions_duration_check CHECK (duration >= 0)
);
ALTER TABLE audio_transcriptions
    ADD COLUMN IF NOT EXISTS id uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS file_id text,
    ADD COLUMN IF NOT EXISTS filename text,
    ADD COLUMN IF NOT EXISTS file_size bigint,
    ADD COLUMN IF NOT EXISTS duration double precision,
    ADD COLUMN IF NOT EXISTS text text,
    ADD COLUMN IF NOT EXISTS content text,
    ADD COLUMN IF NOT EXISTS segments jsonb,
    ADD COLUMN IF NOT EXISTS words jsonb,
    ADD COLUMN IF NOT EXISTS utterances jsonb,
    ADD COLUMN IF NOT EXISTS chapters jsonb,
    ADD COLUMN IF NOT EXISTS language text,
    ADD COLUMN IF NOT EXISTS storage_url text,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS is_active boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS detected_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS processed_images (
    id integer GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    project_id text,
    file_id text,
    filename text,
    file_size bigint,
    storage_url text,
    thumbnail_url text,
    width integer,
    height integer,
    format text,
    analysis text,
    metadata jsonb DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT processed_images_pkey PRIMARY KEY (id),
    CONSTRAINT processed_images_file_size_check CHECK (file_size >= 0),
    CONSTRAINT processed_images_width_check CHECK (width > 0),
    CONSTRAINT processed_images_height_check CHECK (height > 0)
);
ALTER TABLE processed_images
    ADD COLUMN IF NOT EXISTS id integer GENERATED BY DEFAULT AS IDENTITY,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS file_id text,
    ADD COLUMN IF NOT EXISTS filename text,
    ADD COLUMN IF NOT EXISTS file_size bigint,
    ADD COLUMN IF NOT EXISTS storage_url text,
    ADD COLUMN IF NOT EXISTS thumbnail_url text,
    ADD COLUMN IF NOT EXISTS width integer,
    ADD COLUMN IF NOT EXISTS height integer,
    ADD COLUMN IF NOT EXISTS format text,
    ADD COLUMN IF NOT EXISTS analysis text,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS processed_documents (
    id integer GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    project_id text,
    file_id text,
    filename text,
    file_size bigint,
    storage_url text,
    thumbnail_url text,
    document_type text,
    content text,
    page_count integer,
    metadata jsonb DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT processed_documents_pkey PRIMARY KEY (id),
    CONSTRAINT processed_documents_file_size_check CHECK (file_size >= 0),
    CONSTRAINT processed_documents_page_count_check CHECK (page_count >= 0)
);
ALTER TABLE processed_documents
    ADD COLUMN IF NOT EXISTS id integer GENERATED BY DEFAULT AS IDENTITY,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS file_id text,
    ADD COLUMN IF NOT EXISTS filename text,
    ADD COLUMN IF NOT EXISTS file_size bigint,
    ADD COLUMN IF NOT EXISTS storage_url text,
    ADD COLUMN IF NOT EXISTS thumbnail_url text,
    ADD COLUMN IF NOT EXISTS document_type text,
    ADD COLUMN IF NOT EXISTS content text,
    ADD COLUMN IF NOT EXISTS page_count integer,
    ADD COLUMN IF NOT EXISTS metadata jsonb DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS activity_logs (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    user_id text,
    action_type text,
    resource_type text,
    resource_id text,
    resource_name text,
    metadata jsonb NOT NULL DEFAULT '{}',
    ip_address text,
    user_agent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT activity_logs_pkey PRIMARY KEY (id)
);
ALTER TABLE activity_logs
    ADD COLUMN IF NOT EXISTS id bigint GENERATED BY DEFAULT AS IDENTITY,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS action_type text,
    ADD COLUMN IF NOT EXISTS resource_type text,
    ADD COLUMN IF NOT EXISTS resource_id text,
    ADD COLUMN IF NOT EXISTS resource_name text,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS ip_address text,
    ADD COLUMN IF NOT EXISTS user_agent text,
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

CREATE TABLE IF NOT EXISTS auth_logs (
    id bigint GENERATED BY DEFAULT AS IDENTITY,
    email text,
    event_type text,
    ip_address text,
    user_agent text,
    success boolean,
    metadata jsonb NOT NULL DEFAULT '{}',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT auth_logs_pkey PRIMARY KEY (id)
);
ALTER TABLE auth_logs
    ADD COLUMN IF NOT EXISTS id bigint GENERATED BY DEFAULT AS IDENTITY,
    ADD COLUMN IF NOT EXISTS email text,
    ADD COLUMN IF NOT EXISTS event_type text,
    ADD COLUMN IF NOT EXISTS ip_address text,
    ADD COLUMN IF NOT EXISTS user_agent text,
    ADD COLUMN IF NOT EXISTS success boolean,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now();

-- Keys and checks that a table made by hand may lack.

DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('users', 'users_pkey', 'PRIMARY KEY (id)'),
            ('projects', 'projects_pkey', 'PRIMARY KEY (id)'),
            ('conversations', 'conversations_pkey', 'PRIMARY KEY (id)'),
            ('messages', 'messages_pkey', 'PRIMARY KEY (id)'),
            ('knowledge_base', 'knowledge_base_pkey', 'PRIMARY KEY (id)'),
            ('files', 'files_pkey', 'PRIMARY KEY (id)'),
            ('audio_transcriptions', 'audio_transcriptions_pkey', 'PRIMARY KEY (id)'),
            ('processed_images', 'processed_images_pkey', 'PRIMARY KEY (id)'),
            ('processed_documents', 'processed_documents_pkey', 'PRIMARY KEY (id)'),
            ('activity_logs', 'activity_logs_pkey', 'PRIMARY KEY (id)'),
            ('auth_logs', 'auth_logs_pkey', 'PRIMARY KEY (id)'),
            ('users', 'users_role_check', 'CHECK (role IN (''admin'', ''user'', ''viewer''))'),
            ('projects', 'projects_status_check', 'CHECK (status IN (''active'', ''archived'', ''completed'', ''paused''))'),
            ('projects', 'projects_priority_check', 'CHECK (priority IN (''critical'', ''high'', ''low'', ''medium''))'),
            ('projects', 'projects_parent_project_id_check', 'CHECK (parent_project_id <> id)'),
            ('conversations', 'conversations_participant_count_check', 'CHECK (participant_count >= 0)'),
            ('conversations', 'conversations_message_count_check', 'CHECK (message_count >= 0)'),
            ('conversations', 'conversations_organization_confidence_check', 'CHECK (organization_confidence BETWEEN 0 AND 1)'),
            ('messages', 'messages_role_check', 'CHECK (role IN (''assistant'', ''system'', ''user''))'),
            ('messages', 'messages_tokens_used_check', 'CHECK (tokens_used >= 0)'),
            ('messages', 'messages_processing_time_ms_check', 'CHECK (processing_time_ms >= 0)'),
            ('knowledge_base', 'knowledge_base_importance_check', 'CHECK (importance BETWEEN 0 AND 1)'),
            ('knowledge_base', 'knowledge_base_confidence_check', 'CHECK (confidence BETWEEN 0 AND 1)'),
            ('knowledge_base', 'knowledge_base_access_count_check', 'CHECK (access_count >= 0)'),
            ('files', 'files_status_check', 'CHECK (status IN (''completed'', ''error'', ''processing''))'),
            ('files', 'files_size_bytes_check', 'CHECK (size_bytes >= 0)'),
            ('audio_transcriptions', 'audio_transcriptions_file_size_check', 'CHECK (file_size >= 0)'),
            ('audio_transcriptions', 'audio_transcriptions_duration_check', 'CHECK (duration >= 0)'),
            ('processed_images', 'processed_images_file_size_check', 'CHECK (file_size >= 0)'),
            ('processed_images', 'processed_images_width_check', 'CHECK (width > 0)'),
            ('processed_images', 'processed_images_height_check', 'CHECK (height > 0)'),
            ('processed_documents', 'processed_documents_file_size_check', 'CHECK (file_size >= 0)'),
            ('processed_documents', 'processed_documents_page_count_check', 'CHECK (page_count >= 0)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
              AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%')))
          -- Between columns of two types, as a database from before may have, it waits for the repairs.
          AND (listed.name <> 'projects_parent_project_id_check' OR (
            SELECT count(DISTINCT col.atttypid) = 1
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = 'projects' AND NOT col.attisdropped
              AND col.attname IN ('id', 'parent_project_id')))
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
            ('projects', 'projects_owner_id_fkey', 'owner_id', 'users', 'id', 'CASCADE'),
            ('projects', 'projects_parent_project_id_fkey', 'parent_project_id', 'projects', 'id', 'SET NULL'),
            ('conversations', 'conversations_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('messages', 'messages_conversation_id_fkey', 'conversation_id', 'conversations', 'id', 'CASCADE'),
            ('messages', 'messages_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('messages', 'messages_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('knowledge_base', 'knowledge_base_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('knowledge_base', 'knowledge_base_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('files', 'files_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('files', 'files_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('audio_transcriptions', 'audio_transcriptions_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('processed_images', 'processed_images_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('processed_images', 'processed_images_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('processed_documents', 'processed_documents_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            ('processed_documents', 'processed_documents_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL'),
            ('activity_logs', 'activity_logs_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE')
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

-- Indexes: one for each foreign key, and for what the application filters and orders by.

CREATE UNIQUE INDEX IF NOT EXISTS idx_users_email ON users (lower(email));
CREATE INDEX IF NOT EXISTS idx_users_name ON users (name);
CREATE INDEX IF NOT EXISTS idx_users_metadata ON users USING gin (metadata);

CREATE INDEX IF NOT EXISTS idx_projects_owner_id ON projects (owner_id, updated_at DESC);
CREATE INDEX IF NOT EXISTS idx_projects_user_id ON projects (user_id);
CREATE INDEX IF NOT EXISTS idx_projects_parent_project_id ON projects (parent_project_id);
CREATE INDEX IF NOT EXISTS idx_projects_name ON projects USING gin (name gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_projects_collaborators ON projects USING gin (collaborators);
CREATE INDEX IF NOT EXISTS idx_projects_tags ON projects USING gin (tags);
CREATE INDEX IF NOT EXISTS idx_projects_metadata ON projects USING gin (metadata);

CREATE INDEX IF NOT EXISTS idx_conversations_user_id_updated_at ON conversations (user_id, updated_at DESC);
CREATE INDEX IF NOT EXISTS idx_conversations_user_id_created_at ON conversations (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_conversations_title ON conversations USING gin (title gin_trgm_ops);

CREATE INDEX IF NOT EXISTS idx_messages_conversation_id ON messages (conversation_id, created_at);
CREATE INDEX IF NOT EXISTS idx_messages_user_id ON messages (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_messages_project_id ON messages (project_id);
CREATE INDEX IF NOT EXISTS idx_messages_timestamp ON messages (conversation_id, "timestamp");
CREATE INDEX IF NOT EXISTS idx_messages_content ON messages USING gin (content gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_messages_embedding ON messages USING hnsw (embedding vector_cosine_ops);

CREATE INDEX IF NOT EXISTS idx_knowledge_base_user_id ON knowledge_base (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_project_id ON knowledge_base (project_id);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_source ON knowledge_base (source_type, source_id);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_category ON knowledge_base (user_id, category);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_importance ON knowledge_base (user_id, importance DESC);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_tags ON knowledge_base USING gin (tags);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_metadata ON knowledge_base USING gin (metadata);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_title ON knowledge_base USING gin (title gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_content ON knowledge_base USING gin (content gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_text ON knowledge_base
    USING gin (to_tsvector('english', coalesce(title, '') || ' ' || coalesce(content, '')));
CREATE INDEX IF NOT EXISTS idx_knowledge_base_embedding ON knowledge_base USING hnsw (embedding vector_cosine_ops);

CREATE INDEX IF NOT EXISTS idx_files_user_id ON files (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_files_project_id ON files (project_id);
CREATE INDEX IF NOT EXISTS idx_files_filename ON files USING gin (filename gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_files_tags ON files USING gin (tags);
CREATE INDEX IF NOT EXISTS idx_files_metadata ON files USING gin (metadata);

CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_user_id ON audio_transcriptions (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_file_id ON audio_transcriptions (file_id);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_filename ON audio_transcriptions USING gin (filename gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_text ON audio_transcriptions USING gin (text gin_trgm_ops);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_metadata ON audio_transcriptions USING gin (metadata);

CREATE INDEX IF NOT EXISTS idx_processed_images_user_id ON processed_images (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_processed_images_project_id ON processed_images (project_id);
CREATE INDEX IF NOT EXISTS idx_processed_images_file_id ON processed_images (file_id);
CREATE INDEX IF NOT EXISTS idx_processed_images_analysis ON processed_images USING gin (analysis gin_trgm_ops);

CREATE INDEX IF NOT EXISTS idx_processed_documents_user_id ON processed_documents (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_processed_documents_project_id ON processed_documents (project_id);
CREATE INDEX IF NOT EXISTS idx_processed_documents_file_id ON processed_documents (file_id);
CREATE INDEX IF NOT EXISTS idx_processed_documents_content ON processed_documents USING gin (content gin_trgm_ops);

CREATE INDEX IF NOT EXISTS idx_activity_logs_user_id ON activity_logs (user_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_activity_logs_resource ON activity_logs (resource_type, resource_id);
CREATE INDEX IF NOT EXISTS idx_activity_logs_created_at ON activity_logs (created_at DESC);

CREATE INDEX IF NOT EXISTS idx_auth_logs_email ON auth_logs (email, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_auth_logs_created_at ON auth_logs (created_at DESC);

-- The two names of a project's owner agree, in a table with rows that was completed
-- just now, too. Where their types differ, on a database from before, the repairs do this.
DO $owners$
BEGIN
    IF (SELECT count(DISTINCT col.atttypid) = 1
        FROM pg_catalog.pg_attribute AS col
        JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'projects' AND NOT col.attisdropped
          AND col.attname IN ('owner_id', 'user_id'))
    THEN
        UPDATE projects SET owner_id = coalesce(owner_id, user_id), user_id = coalesce(user_id, owner_id)
        WHERE (owner_id IS NULL) <> (user_id IS NULL);
        CREATE OR REPLACE TRIGGER projects_sync_owner_id BEFORE INSERT OR UPDATE ON projects
            FOR EACH ROW EXECUTE FUNCTION projects_sync_owner_id();
    END IF;
END
$owners$;

-- Triggers. Those that look at a project or an owner name no columns, since a trigger
-- that does would keep the repairs from converting them.

CREATE OR REPLACE TRIGGER users_set_updated_at BEFORE UPDATE ON users
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER projects_set_updated_at BEFORE UPDATE ON projects
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER conversations_set_updated_at BEFORE UPDATE ON conversations
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER knowledge_base_set_updated_at BEFORE UPDATE ON knowledge_base
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER files_set_updated_at BEFORE UPDATE ON files
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER audio_transcriptions_set_updated_at BEFORE UPDATE ON audio_transcriptions
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();
CREATE OR REPLACE TRIGGER processed_images_general_project BEFORE INSERT OR UPDATE ON processed_images
    FOR EACH ROW EXECUTE FUNCTION general_project_is_none();
CREATE OR REPLACE TRIGGER processed_documents_general_project BEFORE INSERT OR UPDATE ON processed_documents
    FOR EACH ROW EXECUTE FUNCTION general_project_is_none();

-- Row level security: on everywhere; a table without a policy is for the service alone.

ALTER TABLE users ENABLE ROW LEVEL SECURITY;
ALTER TABLE projects ENABLE ROW LEVEL SECURITY;
ALTER TABLE conversations ENABLE ROW LEVEL SECURITY;
ALTER TABLE messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE knowledge_base ENABLE ROW LEVEL SECURITY;
ALTER TABLE files ENABLE ROW LEVEL SECURITY;
ALTER TABLE audio_transcriptions ENABLE ROW LEVEL SECURITY;
ALTER TABLE processed_images ENABLE ROW LEVEL SECURITY;
ALTER TABLE processed_documents ENABLE ROW LEVEL SECURITY;
ALTER TABLE activity_logs ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth_logs ENABLE ROW LEVEL SECURITY;

-- A policy is made only where the columns that it compares are text: on a database
-- from before, the repairs convert them and make the policies that wait for it.
-- Until then the table is closed to people, never open.
DO $policies$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('users', 'users_owner_read', ARRAY['users.id'],
             'FOR SELECT USING (id = (SELECT requesting_user_id()))'),
            ('users', 'users_owner_update', ARRAY['users.id'],
             'FOR UPDATE USING (id = (SELECT requesting_user_id())) WITH CHECK (id = (SELECT requesting_user_id()))'),
            ('projects', 'projects_owner', ARRAY['projects.owner_id'],
             'USING (owner_id = (SELECT requesting_user_id())) WITH CHECK (owner_id = (SELECT requesting_user_id()))'),
            ('conversations', 'conversations_owner', ARRAY['conversations.user_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))'),
            -- A message belongs to whoever owns its conversation; its project must be theirs, too.
            ('messages', 'messages_owner',
             ARRAY['messages.conversation_id', 'messages.user_id', 'messages.project_id', 'conversations.id', 'conversations.user_id', 'projects.id', 'projects.owner_id'],
             'USING (EXISTS (SELECT FROM conversations AS c WHERE c.id = messages.conversation_id AND c.user_id = (SELECT requesting_user_id())))'
             ' WITH CHECK (EXISTS (SELECT FROM conversations AS c WHERE c.id = messages.conversation_id AND c.user_id = (SELECT requesting_user_id()))'
             ' AND (user_id IS NULL OR user_id = (SELECT requesting_user_id()))'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = messages.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('knowledge_base', 'knowledge_base_owner', ARRAY['knowledge_base.user_id', 'knowledge_base.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = knowledge_base.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('files', 'files_owner', ARRAY['files.user_id', 'files.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = files.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('audio_transcriptions', 'audio_transcriptions_owner', ARRAY['audio_transcriptions.user_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id()))'),
            ('processed_images', 'processed_images_owner', ARRAY['processed_images.user_id', 'processed_images.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = processed_images.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('processed_documents', 'processed_documents_owner', ARRAY['processed_documents.user_id', 'processed_documents.project_id', 'projects.id', 'projects.owner_id'],
             'USING (user_id = (SELECT requesting_user_id())) WITH CHECK (user_id = (SELECT requesting_user_id())'
             ' AND (project_id IS NULL OR EXISTS (SELECT FROM projects AS p WHERE p.id = processed_documents.project_id AND p.owner_id = (SELECT requesting_user_id()))))'),
            ('activity_logs', 'activity_logs_owner_read', ARRAY['activity_logs.user_id'],
             'FOR SELECT USING (user_id = (SELECT requesting_user_id()))')
        ) AS listed (tab, name, compares, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_policies AS present
            WHERE present.schemaname = current_schema() AND present.tablename = listed.tab AND present.policyname = listed.name)
          AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND t.relname || '.' || col.attname = ANY (listed.compares) AND col.atttypid <> 'text'::regtype)
    LOOP
        EXECUTE format('CREATE POLICY %I ON %I ', wanted.name, wanted.tab) || wanted.definition;
    END LOOP;
END
$policies$;

-- Privileges. The hosted platform's default privileges give its roles everything on
-- what is new: it is taken back, and each gets what its policies allow.
DO $grants$
DECLARE
    granted record;
    api_role text;
    helper text;
BEGIN
    FOR granted IN
        SELECT *
        FROM (VALUES
            ('users', 'SELECT, UPDATE'),
            ('projects', 'SELECT, INSERT, UPDATE, DELETE'),
            ('conversations', 'SELECT, INSERT, UPDATE, DELETE'),
            ('messages', 'SELECT, INSERT, UPDATE, DELETE'),
            ('knowledge_base', 'SELECT, INSERT, UPDATE, DELETE'),
            ('files', 'SELECT, INSERT, UPDATE, DELETE'),
            ('audio_transcriptions', 'SELECT, INSERT, UPDATE, DELETE'),
            ('processed_images', 'SELECT, INSERT, UPDATE, DELETE'),
            ('processed_documents', 'SELECT, INSERT, UPDATE, DELETE'),
            ('activity_logs', 'SELECT'),
            ('auth_logs', NULL)
        ) AS listed (tab, people)
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE %I FROM PUBLIC', granted.tab);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON TABLE %I FROM %I', granted.tab, api_role);
            IF api_role = 'service_role' THEN
                EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE %I TO service_role', granted.tab);
            ELSIF api_role = 'authenticated' AND granted.tab = 'users' THEN
                -- A person edits their profile, not their role and permissions.
                GRANT SELECT ON TABLE users TO authenticated;
                GRANT UPDATE (name, avatar_url, preferences) ON TABLE users TO authenticated;
            ELSIF api_role = 'authenticated' AND granted.people IS NOT NULL THEN
                EXECUTE format('GRANT %s ON TABLE %I TO authenticated', granted.people, granted.tab);
            END IF;
        END LOOP;
    END LOOP;
    FOR api_role IN
        SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format(
            'REVOKE ALL ON SEQUENCE processed_images_id_seq, processed_documents_id_seq, activity_logs_id_seq, auth_logs_id_seq FROM %I', api_role);
        IF api_role = 'service_role' THEN
            GRANT USAGE, SELECT ON SEQUENCE processed_images_id_seq, processed_documents_id_seq, activity_logs_id_seq, auth_logs_id_seq
                TO service_role;
        ELSIF api_role = 'authenticated' THEN
            GRANT USAGE, SELECT ON SEQUENCE processed_images_id_seq, processed_documents_id_seq TO authenticated;
        END IF;
    END LOOP;
    FOREACH helper IN ARRAY ARRAY['requesting_user_id', 'set_updated_at', 'general_project_is_none', 'projects_sync_owner_id']
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM PUBLIC', helper);
        FOR api_role IN
            SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
        LOOP
            EXECUTE format('REVOKE ALL ON FUNCTION %I() FROM %I', helper, api_role);
            IF helper = 'requesting_user_id' AND api_role <> 'anon' THEN
                EXECUTE format('GRANT EXECUTE ON FUNCTION requesting_user_id() TO %I', api_role);
            END IF;
        END LOOP;
    END LOOP;
END
$grants$;

-- What things are.

COMMENT ON TABLE users IS 'People. Their identity is the claim sub of their token.';
COMMENT ON COLUMN users.role IS 'What a person may do in the application: admin, user or viewer.';
COMMENT ON COLUMN users.permissions IS 'Single permissions beyond the role.';
COMMENT ON TABLE projects IS 'What a person works on; conversations, files and knowledge belong to one.';
COMMENT ON COLUMN projects.owner_id IS 'Whose project it is.';
COMMENT ON COLUMN projects.user_id IS 'The application''s other name for owner_id, kept equal by a trigger.';
COMMENT ON COLUMN projects.auto_created IS 'Made by the application from content, not by a person.';
COMMENT ON COLUMN projects.stats IS 'Counts that the application keeps for its overview.';
COMMENT ON TABLE conversations IS 'Talks of a person with the assistant.';
COMMENT ON COLUMN conversations.messages IS 'The application''s copy of the messages; the table messages is what counts.';
COMMENT ON COLUMN conversations.auto_organized IS 'Its project or category was chosen by the application.';
COMMENT ON COLUMN conversations.organization_confidence IS 'How sure the application was, from 0 to 1.';
COMMENT ON TABLE messages IS 'Messages of conversations; reached through their conversation.';
COMMENT ON COLUMN messages.user_id IS 'Who wrote or asked.';
COMMENT ON COLUMN messages."timestamp" IS 'When it was said, by the application''s clock.';
COMMENT ON TABLE knowledge_base IS 'What is known about a person''s world, in pieces that can be searched by meaning.';
COMMENT ON COLUMN knowledge_base.source_type IS 'Where the piece comes from, such as a file, a conversation or an email.';
COMMENT ON COLUMN knowledge_base.source_id IS 'Which of those it is.';
COMMENT ON COLUMN knowledge_base.importance IS 'From 0 to 1.';
COMMENT ON COLUMN knowledge_base.confidence IS 'From 0 to 1.';
COMMENT ON COLUMN knowledge_base.embedding IS 'Its meaning, for search by cosine distance.';
COMMENT ON TABLE files IS 'Files that people brought.';
COMMENT ON COLUMN files.processed_content IS 'The text that was read out of it.';
COMMENT ON TABLE audio_transcriptions IS 'What was said in recordings.';
COMMENT ON COLUMN audio_transcriptions.file_id IS 'The uploaded file; a plain value, since uploads live outside of this schema.';
COMMENT ON COLUMN audio_transcriptions.duration IS 'Seconds.';
COMMENT ON COLUMN audio_transcriptions.segments IS 'Parts with their times.';
COMMENT ON TABLE processed_images IS 'What was seen in pictures.';
COMMENT ON COLUMN processed_images.file_id IS 'The uploaded file; a plain value, since uploads live outside of this schema.';
COMMENT ON COLUMN processed_images.analysis IS 'What the model says is on it.';
COMMENT ON TABLE processed_documents IS 'What was read out of documents.';
COMMENT ON COLUMN processed_documents.file_id IS 'The uploaded file; a plain value, since uploads live outside of this schema.';
COMMENT ON TABLE activity_logs IS 'What people did. The service writes it, a person reads their own.';
COMMENT ON TABLE auth_logs IS 'Attempts to sign in. For the service alone.';
