-- The same where projects, conversations, files and pieces of knowledge are already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

-- Both at once, so that nobody reaches it while it is open.
DO $categories$
BEGIN
    CREATE TABLE IF NOT EXISTS categories (
        id text NOT NULL DEFAULT gen_random_uuid()::text,
        user_id text,
        parent_id text,
        name text NOT NULL,
        description text,
        color text,
        icon text,
        sort_order integer NOT NULL DEFAULT 0,
        metadata jsonb NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT categories_pkey PRIMARY KEY (id),
        CONSTRAINT categories_user_id_fkey FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE,
        CONSTRAINT categories_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES categories (id) ON DELETE SET NULL,
        CONSTRAINT categories_name_check CHECK (name <> ''),
        CONSTRAINT categories_parent_id_check CHECK (parent_id <> id)
    );
    ALTER TABLE categories ENABLE ROW LEVEL SECURITY;
END
$categories$;

ALTER TABLE projects ADD COLUMN IF NOT EXISTS category_id text;
ALTER TABLE conversations ADD COLUMN IF NOT EXISTS category_id text;
ALTER TABLE knowledge_base ADD COLUMN IF NOT EXISTS category_id text;
ALTER TABLE files ADD COLUMN IF NOT EXISTS category_id text;

-- Each holds for new rows at once, and for those that are there when they have been looked at.
DO $key$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'projects'::regclass AND conname = 'projects_category_id_fkey')
    THEN
        ALTER TABLE projects ADD CONSTRAINT projects_category_id_fkey
            FOREIGN KEY (category_id) REFERENCES categories (id) ON DELETE SET NULL NOT VALID;
    END IF;
END
$key$;

DO $key$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'conversations'::regclass AND conname = 'conversations_category_id_fkey')
    THEN
        ALTER TABLE conversations ADD CONSTRAINT conversations_category_id_fkey
            FOREIGN KEY (category_id) REFERENCES categories (id) ON DELETE SET NULL NOT VALID;
    END IF;
END
$key$;

DO $key$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'knowledge_base'::regclass AND conname = 'knowledge_base_category_id_fkey')
    THEN
        ALTER TABLE knowledge_base ADD CONSTRAINT knowledge_base_category_id_fkey
            FOREIGN KEY (category_id) REFERENCES categories (id) ON DELETE SET NULL NOT VALID;
    END IF;
END
$key$;

DO $key$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_constraint
        WHERE conrelid = 'files'::regclass AND conname = 'files_category_id_fkey')
    THEN
        ALTER TABLE files ADD CONSTRAINT files_category_id_fkey
            FOREIGN KEY (category_id) REFERENCES categories (id) ON DELETE SET NULL NOT VALID;
    END IF;
END
$key$;

ALTER TABLE projects VALIDATE CONSTRAINT projects_category_id_fkey;
ALTER TABLE conversations VALIDATE CONSTRAINT conversations_category_id_fkey;
ALTER TABLE knowledge_base VALIDATE CONSTRAINT knowledge_base_category_id_fkey;
ALTER TABLE files VALIDATE CONSTRAINT files_category_id_fkey;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_projects_category_id ON projects (category_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_category_id ON conversations (category_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_knowledge_base_category_id ON knowledge_base (category_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_files_category_id ON files (category_id);
