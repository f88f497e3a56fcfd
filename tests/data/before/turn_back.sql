-- Makes a finished, empty schema old again: every id of a person, project,
-- conversation, message, file and category becomes uuid, and what cannot be on
-- such columns (keys, policies, views, triggers that name them) is gone.
-- Run it with search_path set to the schema. For tests only.
DO $back$
DECLARE
    home CONSTANT oid := quote_ident(current_schema())::regnamespace;
    item record;
BEGIN
    FOR item IN SELECT tablename, policyname FROM pg_policies WHERE schemaname = current_schema() LOOP
        EXECUTE format('DROP POLICY %I ON %I', item.policyname, item.tablename);
    END LOOP;
    FOR item IN SELECT quote_ident(relname) AS name FROM pg_class WHERE relnamespace = home AND relkind = 'v' LOOP
        EXECUTE format('DROP VIEW IF EXISTS %s CASCADE', item.name);
    END LOOP;
    FOR item IN SELECT quote_ident(relname) AS name FROM pg_class WHERE relnamespace = home AND relkind = 'm' LOOP
        EXECUTE format('DROP MATERIALIZED VIEW IF EXISTS %s CASCADE', item.name);
    END LOOP;
    FOR item IN SELECT tgname, tgrelid::regclass AS tab FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
                WHERE relnamespace = home AND NOT tgisinternal LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', item.tgname, item.tab);
    END LOOP;
    FOR item IN SELECT conname, conrelid::regclass AS tab FROM pg_constraint WHERE connamespace = home AND contype = 'f' LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', item.tab, item.conname);
    END LOOP;
    FOR item IN
        SELECT tab.oid::regclass AS tab,
               string_agg(concat_ws(', ',
                   'ALTER COLUMN ' || quote_ident(att.attname) || CASE WHEN att.atthasdef THEN ' DROP DEFAULT' END,
                   format('ALTER COLUMN %I TYPE uuid USING md5(%1$I)::uuid', att.attname),
                   'ALTER COLUMN ' || quote_ident(att.attname) || CASE WHEN att.atthasdef THEN ' SET DEFAULT gen_random_uuid()' END), ', ') AS steps
        FROM pg_class tab JOIN pg_attribute att ON att.attrelid = tab.oid AND NOT att.attisdropped
        WHERE tab.relnamespace = home AND tab.relkind = 'r' AND att.atttypid = 'text'::regtype
          AND tab.relname || '.' || att.attname = ANY (string_to_array(current_setting('old.columns'), ' '))
        GROUP BY tab.oid
    LOOP
        EXECUTE format('ALTER TABLE %s %s', item.tab, item.steps);
    END LOOP;
END
$back$;
