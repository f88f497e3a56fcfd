-- add-conversation-pinning.sql
--
-- is_pinned is the documented column; the application says pinned. Both work,
-- for reading and writing, and a trigger keeps them equal. It also fills in the
-- default, so neither column has one of its own: with one, an INSERT that names
-- the other column could not be told from one that names both.
--
-- The defaults here are for the rows that are there already, and go at once.
ALTER TABLE conversations
    ADD COLUMN IF NOT EXISTS is_pinned boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS pinned boolean DEFAULT false,
    ADD COLUMN IF NOT EXISTS pinned_at timestamptz,
    ADD COLUMN IF NOT EXISTS pinned_by text;
ALTER TABLE conversations
    ALTER COLUMN is_pinned DROP DEFAULT,
    ALTER COLUMN pinned DROP DEFAULT;

-- A database from before has one of the two, or both without the trigger: what
-- is pinned in either stays pinned.
DO $rows$
DECLARE
    stamped boolean;
BEGIN
    IF EXISTS (SELECT FROM conversations WHERE is_pinned IS NULL OR pinned IS DISTINCT FROM is_pinned) THEN
        -- These rows are only written down another way: updated_at, by which people find them, stays.
        stamped := EXISTS (
            SELECT FROM pg_catalog.pg_trigger AS present
            JOIN pg_catalog.pg_class AS tab ON tab.oid = present.tgrelid
            WHERE tab.relnamespace = quote_ident(current_schema())::regnamespace AND tab.relname = 'conversations'
              AND present.tgname = 'conversations_set_updated_at' AND present.tgenabled = 'O');
        IF stamped THEN
            ALTER TABLE conversations DISABLE TRIGGER conversations_set_updated_at;
        END IF;
        UPDATE conversations
        SET is_pinned = coalesce(is_pinned, false) OR coalesce(pinned, false),
            pinned = coalesce(is_pinned, false) OR coalesce(pinned, false)
        WHERE is_pinned IS NULL OR pinned IS DISTINCT FROM is_pinned;
        IF stamped THEN
            ALTER TABLE conversations ENABLE TRIGGER conversations_set_updated_at;
        END IF;
    END IF;
END
$rows$;
ALTER TABLE conversations ALTER COLUMN is_pinned SET NOT NULL;

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
            ('conversations', 'conversations_pinned_by_fkey', 'pinned_by', 'users', 'id', 'SET NULL')
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

-- A person's pins, the latest first; most conversations are not pinned, and not in it.
CREATE INDEX IF NOT EXISTS idx_conversations_user_id_pinned_at ON conversations (user_id, pinned_at DESC) WHERE is_pinned;
CREATE INDEX IF NOT EXISTS idx_conversations_pinned_by ON conversations (pinned_by);

CREATE OR REPLACE FUNCTION conversations_sync_is_pinned() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.is_pinned <> NEW.pinned THEN
            RAISE EXCEPTION 'conversations.is_pinned (%) and conversations.pinned (%) are one value under two names, and differ', NEW.is_pinned, NEW.pinned
                USING ERRCODE = 'check_violation', HINT = 'Give one of them, or both alike.';
        END IF;
        NEW.is_pinned := coalesce(NEW.is_pinned, NEW.pinned, false);
        NEW.pinned := NEW.is_pinned;
    ELSIF NEW.is_pinned IS NOT DISTINCT FROM OLD.is_pinned THEN
        NEW.is_pinned := NEW.pinned;
    ELSIF NEW.pinned IS NOT DISTINCT FROM OLD.pinned THEN
        NEW.pinned := NEW.is_pinned;
    ELSIF NEW.is_pinned IS DISTINCT FROM NEW.pinned THEN
        RAISE EXCEPTION 'conversations.is_pinned (%) and conversations.pinned (%) are one value under two names, and differ', NEW.is_pinned, NEW.pinned
            USING ERRCODE = 'check_violation', HINT = 'Change one of them, or both alike.';
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION conversations_sync_is_pinned() IS 'Keeps is_pinned and the application''s pinned equal: the changed one wins; both changed and different is an error.';

CREATE OR REPLACE TRIGGER conversations_sync_is_pinned
    BEFORE INSERT OR UPDATE OF is_pinned, pinned ON conversations
    FOR EACH ROW EXECUTE FUNCTION conversations_sync_is_pinned();

-- Runs after conversations_sync_is_pinned: triggers of one kind go by name.
CREATE OR REPLACE FUNCTION conversations_track_pinning() RETURNS trigger
LANGUAGE plpgsql
SECURITY INVOKER
SET search_path FROM CURRENT
AS $function$
BEGIN
    IF NOT NEW.is_pinned THEN
        NEW.pinned_at := NULL;
        NEW.pinned_by := NULL;
    ELSIF TG_OP = 'INSERT' OR NOT OLD.is_pinned THEN
        NEW.pinned_at := coalesce(NEW.pinned_at, now());
        IF NEW.pinned_by IS NULL THEN
            SELECT person.id INTO NEW.pinned_by FROM users AS person WHERE person.id = requesting_user_id();
        END IF;
    END IF;
    RETURN NEW;
END
$function$;
COMMENT ON FUNCTION conversations_track_pinning() IS 'Notes when and by whom a conversation was pinned where the statement does not say, and clears both when it is no longer.';

CREATE OR REPLACE TRIGGER conversations_track_pinning
    BEFORE INSERT OR UPDATE OF is_pinned, pinned ON conversations
    FOR EACH ROW EXECUTE FUNCTION conversations_track_pinning();

DO $grants$
DECLARE
    api_role text;
BEGIN
    REVOKE ALL ON FUNCTION conversations_sync_is_pinned(), conversations_track_pinning() FROM PUBLIC;
    -- The hosted platform's default privileges give these roles everything on a new function.
    FOR api_role IN
        SELECT rolname FROM pg_catalog.pg_roles WHERE rolname IN ('anon', 'authenticated', 'service_role')
    LOOP
        EXECUTE format('REVOKE ALL ON FUNCTION conversations_sync_is_pinned(), conversations_track_pinning() FROM %I', api_role);
    END LOOP;
END
$grants$;

COMMENT ON COLUMN conversations.is_pinned IS 'Whether the conversation is pinned; pinned is the same.';
COMMENT ON COLUMN conversations.pinned IS 'The application''s name for is_pinned, kept equal by a trigger.';
COMMENT ON COLUMN conversations.pinned_at IS 'When it was pinned; NULL where it is not.';
COMMENT ON COLUMN conversations.pinned_by IS 'The person who pinned it; NULL where the service did.';
