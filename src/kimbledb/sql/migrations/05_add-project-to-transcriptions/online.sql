-- The same where there are transcriptions already: nobody waits for what takes long.
-- apply.sql finds it done, and does the rest.

ALTER TABLE audio_transcriptions
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS category_id text,
    ADD COLUMN IF NOT EXISTS auto_categorized boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS category_confidence double precision;

-- Each holds for new rows at once, and for those that are there when they have been looked at.
DO $keys$
DECLARE
    key record;
BEGIN
    -- apply.sql takes these away first.
    IF EXISTS (SELECT FROM audio_transcriptions WHERE project_id::text = 'general') THEN
        RETURN;
    END IF;
    FOR key IN
        SELECT *
        FROM (VALUES
            ('audio_transcriptions', 'audio_transcriptions_project_id_fkey', 'project_id', 'projects', 'id', 'SET NULL')
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

DO $checks$
DECLARE
    wanted record;
BEGIN
    FOR wanted IN
        SELECT *
        FROM (VALUES
            ('audio_transcriptions', 'audio_transcriptions_category_confidence_check', 'CHECK (category_confidence BETWEEN 0 AND 1)')
        ) AS listed (tab, name, definition)
        WHERE NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint AS present
            JOIN pg_catalog.pg_class AS t ON t.oid = present.conrelid
            WHERE t.relnamespace = quote_ident(current_schema())::regnamespace AND t.relname = listed.tab AND present.conname = listed.name)
    LOOP
        EXECUTE format('ALTER TABLE %I ADD CONSTRAINT %I ', wanted.tab, wanted.name) || wanted.definition || ' NOT VALID';
    END LOOP;
END
$checks$;

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
              'audio_transcriptions_project_id_fkey',
              'audio_transcriptions_category_confidence_check')
    LOOP
        EXECUTE format('ALTER TABLE %I VALIDATE CONSTRAINT %I', open.relname, open.conname);
    END LOOP;
END
$validation$;

CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_project_id_created_at ON audio_transcriptions (project_id, created_at DESC);
CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_audio_transcriptions_category_id_category_confidence
    ON audio_transcriptions (category_id, category_confidence);
