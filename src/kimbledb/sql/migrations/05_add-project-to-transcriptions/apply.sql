-- add-project-to-transcriptions.sql
--
-- The project of a transcription, and what automatic categorization says of it.
-- project_id has no default: a transcription of no project has NULL there, and
-- the application's word for that, 'general', is turned into it.
ALTER TABLE audio_transcriptions
    ADD COLUMN IF NOT EXISTS project_id text,
    ADD COLUMN IF NOT EXISTS category_id text,
    ADD COLUMN IF NOT EXISTS auto_categorized boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS category_confidence double precision;
-- Columns from before may have come with another default, or with none.
ALTER TABLE audio_transcriptions
    ALTER COLUMN project_id DROP DEFAULT,
    ALTER COLUMN auto_categorized SET DEFAULT false;

DO $rows$
DECLARE
    stamped boolean;
BEGIN
    IF EXISTS (
        SELECT FROM audio_transcriptions AS old
        WHERE old.auto_categorized IS NULL
           OR (old.project_id::text = 'general' AND NOT EXISTS (SELECT FROM projects WHERE projects.id::text = 'general')))
    THEN
        -- These rows are only written down another way: updated_at stays.
        stamped := EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.tgrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'audio_transcriptions'
              AND present.tgname = 'audio_transcriptions_set_updated_at' AND present.tgenabled = 'O');
        IF stamped THEN
            ALTER TABLE audio_transcriptions DISABLE TRIGGER audio_transcriptions_set_updated_at;
        END IF;
        UPDATE audio_transcriptions SET auto_categorized = false WHERE auto_categorized IS NULL;
        UPDATE audio_transcriptions SET project_id = NULL
        WHERE project_id::text = 'general' AND NOT EXISTS (SELECT FROM projects WHERE projects.id::text = 'general');
        IF stamped THEN
            ALTER TABLE audio_transcriptions ENABLE TRIGGER audio_transcriptions_set_updated_at;
        END IF;
    END IF;
END
$rows$;
ALTER TABLE audio_transcriptions ALTER COLUMN auto_categorized SET NOT NULL;

DO $constraints$
BEGIN
    IF NOT EXISTS (
        SELECT FROM pg_catalog.pg_constraint AS present
        JOIN pg_catalog.pg_class AS tab ON tab.oid = present.conrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace
          AND tab.relname = 'audio_transcriptions' AND present.conname = 'audio_transcriptions_category_confidence_check')
    THEN
        ALTER TABLE audio_transcriptions ADD CONSTRAINT audio_transcriptions_category_confidence_check
            CHECK (category_confidence BETWEEN 0 AND 1);
    END IF;
END
$constraints$;

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
            'ALTER TABLE %I ADD CONSTRAINT %I FOREIGN KEY (%I) REFERENCES %I (%I) ON DELETE ' || key.on_delete,
            key.child, key.name, key.child_column, key.parent, key.parent_column);
    END LOOP;
END
$keys$;

CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_project_id_created_at ON audio_transcriptions (project_id, created_at DESC);
CREATE INDEX IF NOT EXISTS idx_audio_transcriptions_category_id_category_confidence
    ON audio_transcriptions (category_id, category_confidence);

COMMENT ON COLUMN audio_transcriptions.project_id IS 'The project it belongs to, NULL for none; ''general'' is taken as none.';
COMMENT ON COLUMN audio_transcriptions.category_id IS 'The category that automatic categorization, or a person, chose: plain text, not a key.';
COMMENT ON COLUMN audio_transcriptions.auto_categorized IS 'Whether category_id was chosen automatically.';
COMMENT ON COLUMN audio_transcriptions.category_confidence IS 'How sure automatic categorization was, 0 to 1.';

-- Where project_id is still uuid, 'general' cannot come, and a column that a
-- trigger names cannot change its type: the trigger, too, waits for the repairs.
DO $triggers$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_attribute AS col
        JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
        WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'audio_transcriptions'
          AND col.attname = 'project_id' AND col.atttypid = 'pg_catalog.text'::regtype)
    THEN
        CREATE OR REPLACE TRIGGER audio_transcriptions_general_project
            BEFORE INSERT OR UPDATE OF project_id ON audio_transcriptions
            FOR EACH ROW EXECUTE FUNCTION general_project_is_none();
    END IF;
END
$triggers$;

-- A transcription has an owner of its own. The policy of its owner does not
-- look at the project, so this one, which restricts, does: nobody puts a row
-- into a project of somebody else. Where a column is still uuid it waits for
-- the repairs, because a column that a policy names cannot change its type.
DO $policies$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_policies WHERE schemaname = current_schema()
                   AND tablename = 'audio_transcriptions' AND policyname = 'audio_transcriptions_own_project')
       AND (SELECT count(*) = 3
            FROM pg_catalog.pg_attribute AS col
            JOIN pg_catalog.pg_class AS tab ON tab.oid = col.attrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND NOT col.attisdropped
              AND col.atttypid = 'pg_catalog.text'::regtype
              AND (tab.relname, col.attname) IN (('audio_transcriptions', 'project_id'), ('projects', 'id'), ('projects', 'owner_id')))
    THEN
        CREATE POLICY audio_transcriptions_own_project ON audio_transcriptions AS RESTRICTIVE
            WITH CHECK (project_id IS NULL OR EXISTS (
                SELECT FROM projects AS project
                WHERE project.id = audio_transcriptions.project_id AND project.owner_id = (SELECT requesting_user_id())));
    END IF;
END
$policies$;
