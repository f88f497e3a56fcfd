-- The same where there are conversations already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE conversations ADD COLUMN IF NOT EXISTS project_id text;

-- Each holds for new rows at once, and for those that are there when they have been looked at.
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
              'conversations_project_id_fkey')
    LOOP
        EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', open.relname, open.conname);
    END LOOP;
END
$validation$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_conversations_project_id_updated_at ON conversations (project_id, updated_at DESC);
