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
DO $keys$
DECLARE
    key record;
BEGIN
    FOR key IN
        SELECT *
        FROM (VALUES
            ('projects', 'projects_category_id_fkey', 'category_id', 'categories', 'id', 'SET NULL'),
            ('conversations', 'conversations_category_id_fkey', 'category_id', 'categories', 'id', 'SET NULL'),
            ('knowledge_base', 'knowledge_base_category_id_fkey', 'category_id', 'categories', 'id', 'SET NULL'),
            ('files', 'files_category_id_fkey', 'category_id', 'categories', 'id', 'SET NULL')
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
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete || ' NOT VALID',
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

DO $validation$
DECLARE
    open record;
BEGIN
    FOR open IN
        SELECT tab.relname, con.conname
        FROM pg_catalog.pg_constraint AS con
        JOIN pg_catalog.pg_class AS tab ON tab.oid = con.conrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT con.convalidated
          AND con.conname IN (
              'projects_category_id_fkey',
              'conversations_category_id_fkey',
              'knowledge_base_category_id_fkey',
              'files_category_id_fkey')
    LOOP
        EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', open.relname, open.conname);
    END LOOP;
END
$validation$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_projects_category_id ON projects (category_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_category_id ON conversations (category_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_knowledge_base_category_id ON knowledge_base (category_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_files_category_id ON files (category_id);
