DO $policies$
DECLARE
    tab text;
BEGIN
    FOREACH tab IN ARRAY ARRAY['projects', 'conversations', 'knowledge_base', 'files'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_policies WHERE schemaname = current_schema()
                   AND tablename = tab AND policyname = tab || '_own_category') THEN
            EXECUTE format('DROP POLICY %I ON %I', tab || '_own_category', tab);
        END IF;
    END LOOP;
END
$policies$;
ALTER TABLE IF EXISTS files DROP COLUMN IF EXISTS category_id;
ALTER TABLE IF EXISTS knowledge_base DROP COLUMN IF EXISTS category_id;
ALTER TABLE IF EXISTS conversations DROP COLUMN IF EXISTS category_id;
ALTER TABLE IF EXISTS projects DROP COLUMN IF EXISTS category_id;
DROP TABLE IF EXISTS categories;
DROP FUNCTION IF EXISTS categories_are_a_tree();
