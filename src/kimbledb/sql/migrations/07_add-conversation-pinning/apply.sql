-- add-conversation-pinning.sql
--
-- is_pinned is the documented column; the application says pinned. Both work,
-- for reading and writing, and a trigger keeps them equal. It also fills in the
-- default, so neither column has one of its own: with one, an INSERT that names
-- the other column could not be told from one that names both.
--
-- The defaults here are for the rows that are there already, and go at once.

ALTER TABLE conversations
    ADD COLUMN is_pinned boolean NOT NULL DEFAULT false,
    ADD COLUMN pinned boolean DEFAULT false,
    ADD COLUMN pinned_at timestamptz,
    ADD COLUMN pinned_by text
        CONSTRAINT conversations_pinned_by_fkey REFERENCES users (id) ON DELETE SET NULL;
ALTER TABLE conversations
    ALTER COLUMN is_pinned DROP DEFAULT,
    ALTER COLUMN pinned DROP DEFAULT;

-- A person's pins, the latest first; most conversations are not pinned, and not in it.
CREATE INDEX idx_conversations_user_id_pinned_at ON conversations (user_id, pinned_at DESC)
    WHERE is_pinned;
CREATE INDEX idx_conversations_pinned_by ON conversations (pinned_by);

CREATE FUNCTION conversations_sync_is_pinned() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
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
$$;
COMMENT ON FUNCTION conversations_sync_is_pinned() IS
    'Keeps is_pinned and the application''s pinned equal: the changed one wins; both changed and different is an '
    'error.';

CREATE TRIGGER conversations_sync_is_pinned
    BEFORE INSERT OR UPDATE OF is_pinned, pinned ON conversations
    FOR EACH ROW EXECUTE FUNCTION conversations_sync_is_pinned();

-- Runs after conversations_sync_is_pinned: triggers of one kind go by name.
CREATE FUNCTION conversations_track_pinning() RETURNS trigger
    LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
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
$$;
COMMENT ON FUNCTION conversations_track_pinning() IS
    'Notes when and by whom a conversation was pinned where the statement does not say, and clears both when it is '
    'no longer.';

CREATE TRIGGER conversations_track_pinning
    BEFORE INSERT OR UPDATE OF is_pinned, pinned ON conversations
    FOR EACH ROW EXECUTE FUNCTION conversations_track_pinning();

COMMENT ON COLUMN conversations.is_pinned IS 'Whether the conversation is pinned; pinned is the same.';
COMMENT ON COLUMN conversations.pinned IS 'The application''s name for is_pinned, kept equal by a trigger.';
COMMENT ON COLUMN conversations.pinned_at IS 'When it was pinned; NULL where it is not.';
COMMENT ON COLUMN conversations.pinned_by IS 'The person who pinned it; NULL where the service did.';
