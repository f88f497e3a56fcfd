-- Categories in a tree, and which of them projects, conversations, files and
-- pieces of knowledge are in.

CREATE TABLE categories (
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
    -- A branch whose parent goes becomes a root, and keeps what is in it.
    CONSTRAINT categories_parent_id_fkey FOREIGN KEY (parent_id) REFERENCES categories (id) ON DELETE SET NULL,
    CONSTRAINT categories_name_check CHECK (name <> ''),
    CONSTRAINT categories_parent_id_check CHECK (parent_id <> id)
);

ALTER TABLE projects ADD COLUMN category_id text
    CONSTRAINT projects_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;
ALTER TABLE conversations ADD COLUMN category_id text
    CONSTRAINT conversations_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;
ALTER TABLE knowledge_base ADD COLUMN category_id text
    CONSTRAINT knowledge_base_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;
ALTER TABLE files ADD COLUMN category_id text
    CONSTRAINT files_category_id_fkey REFERENCES categories (id) ON DELETE SET NULL;

CREATE UNIQUE INDEX idx_categories_user_id_parent_id_name
    ON categories (user_id, parent_id, lower(name)) NULLS NOT DISTINCT;
CREATE INDEX idx_categories_parent_id ON categories (parent_id);
CREATE INDEX idx_projects_category_id ON projects (category_id);
CREATE INDEX idx_conversations_category_id ON conversations (category_id);
CREATE INDEX idx_knowledge_base_category_id ON knowledge_base (category_id);
CREATE INDEX idx_files_category_id ON files (category_id);

CREATE FUNCTION categories_are_a_tree() RETURNS trigger
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

CREATE TRIGGER categories_are_a_tree BEFORE INSERT OR UPDATE OF parent_id ON categories
    FOR EACH ROW WHEN (NEW.parent_id IS NOT NULL) EXECUTE FUNCTION categories_are_a_tree();
CREATE TRIGGER categories_set_updated_at BEFORE UPDATE ON categories
    FOR EACH ROW EXECUTE FUNCTION set_updated_at();

ALTER TABLE categories ENABLE ROW LEVEL SECURITY;

-- A function, since a policy of categories cannot read categories.
CREATE FUNCTION is_own_category(category_id text) RETURNS boolean
    LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
BEGIN
    RETURN EXISTS (SELECT FROM categories AS c WHERE c.id = $1 AND c.user_id = requesting_user_id());
END
$$;
COMMENT ON FUNCTION is_own_category(text) IS 'Whether a category is one of the caller.';

CREATE POLICY categories_owner ON categories
    USING (user_id = (SELECT requesting_user_id()))
    WITH CHECK (user_id = (SELECT requesting_user_id())
        AND (parent_id IS NULL OR is_own_category(parent_id)));

-- A person puts what is theirs into categories that are theirs. The policies of the
-- tables themselves are other migrations'; these narrow them.
CREATE POLICY projects_own_category ON projects AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = projects.category_id AND category.user_id = (SELECT requesting_user_id())));
CREATE POLICY conversations_own_category ON conversations AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = conversations.category_id AND category.user_id = (SELECT requesting_user_id())));
CREATE POLICY knowledge_base_own_category ON knowledge_base AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = knowledge_base.category_id AND category.user_id = (SELECT requesting_user_id())));
CREATE POLICY files_own_category ON files AS RESTRICTIVE
    WITH CHECK (category_id IS NULL OR EXISTS (
        SELECT FROM categories AS category
        WHERE category.id = files.category_id AND category.user_id = (SELECT requesting_user_id())));

COMMENT ON TABLE categories IS 'A person''s categories, in a tree.';
COMMENT ON COLUMN categories.parent_id IS 'The category above, or none for a root.';
COMMENT ON COLUMN categories.icon IS 'A name or a character that the application shows.';
COMMENT ON COLUMN categories.sort_order IS 'Its place among its siblings.';
