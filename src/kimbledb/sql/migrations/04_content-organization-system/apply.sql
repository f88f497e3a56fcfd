-- Categories in a tree, and which of them projects, conversations, files and
-- pieces of knowledge are in.

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
ALTER TABLE categories
    ADD COLUMN IF NOT EXISTS id text NOT NULL DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS user_id text,
    ADD COLUMN IF NOT EXISTS parent_id text,
    ADD COLUMN IF NOT EXISTS name text,
    ADD COLUMN IF NOT EXISTS description text,
    ADD COLUMN IF NOT EXISTS color text,
    ADD COLUMN IF NOT EXISTS icon text,
    ADD COLUMN IF NOT EXISTS sort_order integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS metadata jsonb NOT NULL DEFAULT '{}',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now();

ALTER TABLE projects ADD COLUMN IF NOT EXISTS category_id text;
ALTER TABLE conversations ADD COLUMN IF NOT EXISTS category_id text;
ALTER TABLE knowledge_base ADD COLUMN IF NOT EXISTS category_id text;
ALTER TABLE files ADD COLUMN IF NOT EXISTS category_id text;

DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('categories', 'categories_pkey', 'PRIMARY KEY (id)'),
            ('categories', 'categories_name_check', 'CHECK (name <> '''')'),
            ('categories', 'categories_parent_id_check', 'CHECK (parent_id <> id)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab
              AND (present.conname = listed.name OR (present.contype = 'p' AND listed.definition LIKE 'PRIMARY KEY%')))
          -- Between columns of two types, as a database from before may have, it waits for the repairs.
          AND (listed.name <> 'categories_parent_id_check' OR (
            SELECT count(DISTINCT col.atttypid) = 1
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS t ON t.oid = col.attrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = 'categories' AND NOT col.attisdropped
              AND col.attname IN ('id', 'parent_id')))
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
            ('categories', 'categories_user_id_fkey', 'user_id', 'users', 'id', 'CASCADE'),
            -- A branch whose parent goes becomes a root, and keeps what is in it.
            ('categories', 'categories_parent_id_fkey', 'parent_id', 'categories', 'id', 'SET NULL'),
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
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

CREATE UNIQUE INDEX IF NOT EXISTS idx_categories_user_id_parent_id_name
    ON categories (user_id, parent_id, lower(name)) NULLS NOT DISTINCT;
CREATE INDEX IF NOT EXISTS idx_categories_parent_id ON categories (parent_id);
CREATE INDEX IF NOT EXISTS idx_projects_category_id ON projects (category_id);
CREATE INDEX IF NOT EXISTS idx_conversations_category_id ON conversations (category_id);
CREATE INDEX IF NOT EXISTS idx_knowledge_base_category_id ON knowledge_base (category_id);
CREATE INDEX IF NOT EXISTS idx_files_category_id ON files (category_id);

CREATE OR REPLACE FUNCTION categories_are_a_tree() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF EXISTS (
        WITH RECURSIVE above AS (
            SELECT id, parent_id FROM categories WHERE id = NEW.parent_id
            UNION
            SELECT c.id, c.parent_id FROM categories AS c JOIN above ON c.id = above.parent_id
        )
        SELECT FROM above WHERE id = NEW.id) THEN
        RAISE EXCEPTION 'category % cannot be below itself', NEW.id
            USING ERRCODE = 'check_violation', TABLE = 'categories', COLUMN = 'parent_id';
    END IF;
    RETURN NEW;
END
$$;
COMMENT ON FUNCTION categories_are_a_tree() IS 'Trigger: refuses a parent that is below the category itself.';

CREATE OR REPLACE TRIGGER categories_are_a_tree BEFORE INSERT OR UPDATE OF parent_id ON categories
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION categories_are_a_tree();
CREATE OR REPLACE TRIGGER categories_set_updated_at BEFORE UPDATE ON categories
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE categories ENABLE ROW LEVEL SECURITY;

DO $policies$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_policies WHERE schemaname = current_schema()
                   AND tablename = 'categories' AND policyname = 'categories_owner')
       AND EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                   JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
                   WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND c.relname = 'categories'
                     AND a.attname = 'user_id' AND a.atttypid = 'text'::regtype) THEN
        CREATE POLICY categories_owner ON categories
            USING (user_id = (SELECT requesting_user_id()))
            WITH CHECK (user_id = (SELECT requesting_user_id()));
    END IF;
END
$policies$;

-- A person puts what is theirs into categories that are theirs. The policies of the
-- tables themselves are other migrations'; these narrow them.
DO $own_categories$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['projects', 'conversations', 'knowledge_base', 'files'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_policies WHERE schemaname = current_schema()
                       AND tablename = tab AND policyname = tab || '_own_category')
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute AS a
                           JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
                           WHERE c.relnamespace = quote_ident(current_schema())::regnamespace AND a.atttypid <> 'text'::regtype
                             AND (c.relname, a.attname) IN ((tab, 'category_id'), ('categories', 'id'), ('categories', 'user_id'))) THEN
            EXECUTE format(
                'CREATE POLICY %I ON %I AS RESTRICTIVE WITH CHECK (category_id IS NULL OR EXISTS ('
                'SELECT FROM categories AS category WHERE category.id = %I.category_id'
                ' AND category.user_id = (SELECT requesting_user_id())))',
                tab || '_own_category', tab, tab);
        END IF;
    END LOOP;
END
$own_categories$;

DO $grants$
DECLARE
    api_role text;
BEGIN
    REVOKE ALL ON TABLE categories FROM PUBLIC;
    REVOKE ALL ON FUNCTION categories_are_a_tree() FROM PUBLIC;
    FOR api_role IN
        SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format('REVOKE ALL ON TABLE categories FROM %I', api_role);
        EXECUTE format('REVOKE ALL ON FUNCTION categories_are_a_tree() FROM %I', api_role);
        IF api_role <> 'anon' THEN
            EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE categories TO %I', api_role);
        END IF;
    END LOOP;
END
$grants$;

COMMENT ON TABLE categories IS 'A person''s categories, in a tree.';
COMMENT ON COLUMN categories.parent_id IS 'The category above, or none for a root.';
COMMENT ON COLUMN categories.icon IS 'A name or a character that the application shows.';
COMMENT ON COLUMN categories.sort_order IS 'Its place among its siblings.';
