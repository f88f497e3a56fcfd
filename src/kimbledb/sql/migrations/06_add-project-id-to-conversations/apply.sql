-- add-project-id-to-conversations.sql
--
-- The project of a conversation. Deleting a project leaves its conversations,
-- without one.
ALTER TABLE conversations ADD COLUMN IF NOT EXISTS project_id text;

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
            ('conversations', 'conversations_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL')
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

-- A project's conversations, the latest first.
CREATE INDEX IF NOT EXISTS idx_conversations_project_id_updated_at ON conversations (project_id, updated_at DESC);

COMMENT ON COLUMN conversations.project_id IS 'The project it belongs to, NULL for none.';

-- A conversation has an owner of its own. The policy of its owner does not
-- look at the project, so this one, which restricts, does: nobody puts a row
-- into a project of somebody else. Where a column is still uuid it waits for
-- the repairs, because a column that a policy names cannot change its type.
DO $policies$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_policies WHERE schemaname = current_schema()
                   AND tablename = 'conversations' AND policyname = 'conversations_own_project')
       AND (SELECT count(*) = 3
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND col.atttypid = 'pg_catalog.text'::regtype
              AND (tab.relname, col.attname) IN (('conversations', 'project_id'), ('projects', 'id'), ('projects', 'owner_id')))
    THEN
        CREATE POLICY conversations_own_project ON conversations AS RESTRICTIVE
            WITH CHECK (project_id IS NULL OR EXISTS (
                SELECT FROM projects AS project
                WHERE project.id = conversations.project_id AND project.owner_id = (SELECT requesting_user_id())));
    END IF;
END
$policies$;
